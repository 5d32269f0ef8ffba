"""The log: one line an event on stderr, as JSON, or for people where that is a terminal.

No name ever gets there; keys, tokens and numbers are masked in whatever text others wrote.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor

SECRET: Final = re.compile(r"\brb[kd]_\w+|\d[\d ().-]{4,}\d", re.ASCII)
"""A key, a device's token, or what may be a number."""

OURS: Final = {"time", "level", "event", "request_id", "method", "path", "kind", "places"}
"""Fields whose text is the program's own."""

log: Final[structlog.typing.FilteringBoundLogger] = structlog.get_logger()


def configure_logs() -> None:
    """Make `log` write lines, in each process that answers."""
    factory: Any
    if sys.stderr.isatty():
        factory = structlog.PrintLoggerFactory(sys.stderr)
    else:
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[structlog.processors.add_log_level, _add_time, _mask, _renderer()],
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def log_fault(error: BaseException, **fields: Any) -> None:
    """Log a fault of the program. Its text may quote numbers and names, so the log has its kind and its places only."""
    log.error("fault", **fields, **_describe(error))


def _describe(error: BaseException) -> dict[str, Any]:
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    kind = f"{type(error).__module__}.{type(error).__name__} {getattr(error, 'sqlstate', '')}".strip()
    return {"kind": kind, "places": places}


def _renderer() -> Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer(serializer=lambda event, **_: msgspec.json.encode(event))


def _add_time(_logger: Any, _method: str, event: EventDict) -> EventDict:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": moment, "level": event.pop("level"), "event": event.pop("event"), **event}


def _mask(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and name not in OURS:
            event[name] = SECRET.sub("***", value)
    return event


class ForeignFormatter(logging.Formatter):
    """Formats what libraries log as `log` would."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without the text of an exception."""
        level = record.levelname.lower()
        event = {"event": "library", "level": level, "logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            event |= _describe(record.exc_info[1])
        line = _renderer()(None, "", _mask(None, "", _add_time(None, "", event)))
        return line.decode() if isinstance(line, bytes) else str(line)


FOREIGN_LOGS: Final[dict[str, Any]] = {
    "formatters": {"line": {"()": ForeignFormatter}},
    "handlers": {
        name: {"formatter": "line", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
        for name in ("console", "access")
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
}
"""What `logging` is configured with, beside the server's own loggers."""
