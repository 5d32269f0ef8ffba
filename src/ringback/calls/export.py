"""Calls go out: CSV, JSON lines and XLSX, page by page. What goes out as CSV or JSON lines can be imported again."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from ringback.calls.contract import EXPORTED, KINDS, PRESENTATIONS
from ringback.calls.query import CallQuery
from ringback.db import Connection, Database, Row
from ringback.sources.tables import GUARDED_STARTS, guard, guard_number
from ringback.times import rfc3339

FORMATS: Final = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""What calls can go out as, each with its media type."""

ROWS_AT_ONCE: Final = 5_000
ROWS_OF_A_SHEET: Final = 1_000_000
"""A spreadsheet ends at 1,048,576 rows."""

PIECE_BYTES: Final = 65_536

_COLUMNS: Final = (
    "c.kind, p.number, p.name, c.duration_s, p.geo_location, c.device_id, c.sim_id, c.presentation, c.source, c.at_ms,"
    " c.precise, c.country_iso, c.type_raw, c.occurrence, c.other_second, c.id"
)
_KIND_WORDS: Final = {number: word for word, number in KINDS.items()}
_PRESENTATION_WORDS: Final = {number: word for word, number in PRESENTATIONS.items()}
_TEXTS: Final = ("name", "geo_location", "device", "sim_id", "source", "country_iso", "type_raw")
_TEXT_PLACES: Final = tuple(place for place, name in enumerate(EXPORTED) if name in _TEXTS)
_NUMBER: Final = list(EXPORTED).index("number")

OnRows = Callable[[int], None]
"""Told how many rows have gone out."""


async def export_calls(
    database: Database, query: CallQuery, format: str, *, newest_first: bool = False, on_rows: OnRows | None = None
) -> AsyncIterator[bytes]:
    """The calls of a query in one of FORMATS, piece by piece, by date."""
    devices = await database.read(lambda connection: _device_names(connection, query.account_id))
    pages = _pages(database, query, devices, newest_first, on_rows)
    match format:
        case "csv":
            yield _csv_lines([list(EXPORTED)])
            async for rows in pages:
                yield _csv_lines([_guarded(row) for row in rows])
        case "jsonl":
            async for rows in pages:
                yield b"".join(msgspec.json.encode(dict(zip(EXPORTED, row, strict=True))) + b"\n" for row in rows)
        case _:
            with TemporaryDirectory(prefix="ringback-") as folder:
                file = Path(folder) / "calls.xlsx"
                await _write_workbook(file, folder, pages)
                with file.open("rb") as opened:
                    while piece := opened.read(PIECE_BYTES):
                        yield piece


async def _pages(
    database: Database, query: CallQuery, devices: dict[int, str], newest_first: bool, on_rows: OnRows | None
) -> AsyncIterator[list[list[Any]]]:
    """The values of the columns of EXPORTED, so many calls at once."""
    last: tuple[int, int] | None = None
    done = 0
    while rows := await query.by_date_after(database, _COLUMNS, last, ROWS_AT_ONCE, newest_first=newest_first):
        yield [_values(row, devices) for row in rows]
        last = rows[-1][9], rows[-1][15]
        done += len(rows)
        if on_rows:
            on_rows(done)


def _values(row: Row, devices: dict[int, str]) -> list[Any]:
    kind, number, name, duration, geo, device, sim, presentation, source, at_ms, precise, *more = row
    country, type_raw, occurrence, other_second, _ = more
    return [
        _KIND_WORDS[kind], number or None, name, rfc3339(at_ms), duration, geo, devices[device], sim,
        _PRESENTATION_WORDS.get(presentation), source, at_ms, "ms" if precise else "s", country, type_raw,
        occurrence if occurrence >= 0 else -1 - occurrence, None if other_second is None else other_second * 1_000,
    ]  # fmt: skip


def _guarded(row: list[Any]) -> list[Any]:
    number = row[_NUMBER]
    if number and number[0] in GUARDED_STARTS:
        row[_NUMBER] = guard_number(number)
    for place in _TEXT_PLACES:
        text = row[place]
        if text and text[0] in GUARDED_STARTS:
            row[place] = guard(text)
    return row


def _csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


async def _write_workbook(file: Path, folder: str, pages: AsyncIterator[list[list[Any]]]) -> None:
    """Sheets of at most ROWS_OF_A_SHEET calls; rows go to the disk as they come."""
    import xlsxwriter  # slow to load, and most commands need it not

    with xlsxwriter.Workbook(str(file), {"constant_memory": True, "tmpdir": folder}) as book:
        sheet, place = None, 0
        async for rows in pages:
            for row in rows:
                if sheet is None or place > ROWS_OF_A_SHEET:
                    sheet, place = book.add_worksheet(), 1
                    sheet.write_row(0, 0, list(EXPORTED))
                for column, value in enumerate(row):
                    if isinstance(value, str):
                        # As text, so that no number loses its zeros and nothing becomes a formula.
                        sheet.write_string(place, column, value)
                    elif value is not None:
                        sheet.write_number(place, column, value)
                place += 1
        if sheet is None:
            book.add_worksheet().write_row(0, 0, list(EXPORTED))


async def _device_names(connection: Connection, account_id: int) -> dict[int, str]:
    rows = await connection.fetch("select id, name from devices where account_id = $1", account_id)
    return {row[0]: row[1] for row in rows}
