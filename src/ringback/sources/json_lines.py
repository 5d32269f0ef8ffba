"""JSON lines as `ringback export` writes them: an object a line, null for what is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final

from ringback.calls.contract import EXPORTED, JSON
from ringback.sources.moments import read_moment
from ringback.sources.reading import FileDamaged, Options, SourceFile, SourceRow, lines

NAME: Final = "jsonl"
LONGEST_SHOWN: Final = 1_000


def recognises(head: str) -> bool:
    """Whether a file that begins so is of this kind."""
    first = head.lstrip().split("\n", 1)[0]
    return first.startswith("{") and '"kind"' in first and '"started_at' in first


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of a file. Raises FileRefused, FileDamaged."""
    del options
    with file.open() as opened:
        for place, line in enumerate(lines(opened), 1):
            if not line.strip():
                continue
            try:
                row = JSON.decode(line.strip())
            except (ValueError, RecursionError):
                if not line.endswith(("\n", "\r")):
                    raise FileDamaged(f"it ends early in line {place:,}; the calls before that are kept") from None
                yield SourceRow(place, line[:LONGEST_SHOWN], None, error="This line is no JSON.")
                continue
            yield _read_row(place, row)


def _read_row(place: int, row: Any) -> SourceRow:
    if not isinstance(row, dict):
        return SourceRow(place, row, row)
    device = row.get("device")
    if device is not None and not isinstance(device, str):
        return SourceRow(place, row, row, error="device must be text, the name of a phone.")
    report = exported_report(row)
    if "date_ms" not in report and isinstance(row.get("started_at"), str):
        moment = read_moment(row["started_at"], UTC)
        report |= {"date_ms": moment.ms} if moment else {}
    return SourceRow(place, row, report, device=device or "", is_numbered=row.get("occurrence") is not None)


def exported_report(row: dict[str, Any]) -> dict[str, Any]:
    """The report in a row of an export."""
    said = {field: row[name] for name, field in EXPORTED.items() if field and row.get(name) is not None}
    return {"number": None, "duration_sec": 0} | said
