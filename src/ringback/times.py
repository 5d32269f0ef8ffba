"""Moments as they come in and go out. Inside they are milliseconds since 1970 in UTC."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ringback.errors import InvalidParameter

DAY_MS: Final = 86_400_000
_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def now_ms() -> int:
    """The present moment."""
    return time.time_ns() // 1_000_000


def utc_text(ms: int) -> str:
    """`2026-02-24 12:49:39`, in UTC."""
    return local_text(ms, UTC)


def local_text(ms: int, zone: tzinfo) -> str:
    """`2026-02-24 12:49:39`, in a time zone."""
    return datetime.fromtimestamp(ms // 1_000, zone).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(ms: int) -> str:
    """`2026-02-24T12:49:39.000Z`."""
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def parse_day(text: str) -> date | None:
    """A day written as YYYY-MM-DD in ASCII; None where it is none of the calendar."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@lru_cache(maxsize=1_000)
def zone(name: str) -> ZoneInfo:
    """The time zone of a name such as Europe/Paris. Raises InvalidParameter."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter("There is no such time zone; take a name such as Europe/Paris or UTC.") from None
