"""Tables as text (CSV): those of `ringback export`, and anyone's whose first row names the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ringback.calls.contract import EXPORTED, KINDS
from ringback.errors import InvalidParameter
from ringback.sources.android import KIND_NAMES, known_name
from ringback.sources.json_lines import exported_report
from ringback.sources.moments import read_duration, read_moment
from ringback.sources.reading import (
    LONGEST_ROW,
    FileDamaged,
    FileRefused,
    Options,
    SourceFile,
    SourceRow,
    lines,
    read_head,
)
from ringback.text import trim

NAME: Final = "csv"
DELIMITERS: Final = (",", ";", "\t")
INTEGERS: Final = ("started_at_ms", "occurrence", "date_other_ms")

GUARDED_STARTS: Final = "'=+-@\t\r"
GUARDED: Final = re.compile(r"'*[=+\-@\t\r]")
"""Texts that a spreadsheet could take for a formula; an export puts a `'` before them."""
PLAIN_NUMBER: Final = re.compile(r"\+[0-9]+", re.ASCII)
"""Numbers that stay as they are."""

HEADERS: Final = {
    "kind": ("kind", "type", "call_type", "direction"),
    "number": ("number", "phone_number", "phone", "caller", "telephone", "tel"),
    "name": ("name", "cached_name", "contact", "contact_name", "caller_name"),
    "started_at": ("started_at", "date", "time", "datetime", "date_time", "call_date", "call_time", "timestamp"),
    "started_at_ms": ("started_at_ms", "date_ms", "call_date_ms", "timestamp_ms"),
    "duration_sec": ("duration_sec", "duration", "duration_s", "duration_seconds", "seconds"),
    "geo_location": ("geo_location", "location", "place"),
    "sim_id": ("sim_id", "sim"),
    "country_iso": ("country_iso", "country"),
}
"""The headers by which a column is known, in any case, their blanks and marks as `_`; others by their own name."""

WORDS: Final = {word: word for word in KINDS} | KIND_NAMES | {
    "received": "incoming", "answered": "incoming",
    "placed": "outgoing", "dialed": "outgoing", "dialled": "outgoing",
    "declined": "rejected",
}  # fmt: skip
"""What the words and numbers in a column of kinds mean."""

_FIELDS: Final = {header: field for field in EXPORTED for header in HEADERS.get(field, (field,))}
_ROUNDED: Final = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]{1,2}", re.IGNORECASE)
_WHOLE: Final = re.compile("-?[0-9]{1,30}", re.ASCII)
_HINT: Final = re.compile(r"sep=.\s*", re.IGNORECASE)

# For the whole process, as the module wants it: its own limit would end a file at a field of 131,072 characters.
csv.field_size_limit(LONGEST_ROW)


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise InvalidParameter where a column is given for what no table holds."""
    for field in columns:
        if field not in EXPORTED:
            raise InvalidParameter(f"--column takes FIELD=HEADER, the field one of {', '.join(EXPORTED)}.")


def recognises(head: str) -> bool:
    """Whether a file that begins so is a table of calls whose columns are all known by their names."""
    return any(not _missing(_fields(names, {})) for names in _headers(head))


def is_table(head: str) -> bool:
    """Whether a file that begins so is a table at all."""
    return any(len(names) > 1 for names in _headers(head))


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of a table. Raises FileRefused, FileDamaged."""
    with file.open() as opened:
        delimiter = _delimiter(read_head(opened), options.columns)
    with file.open() as opened:
        rows = _records(csv.reader(_without_hint(lines(opened)), delimiter=delimiter, strict=True))
        names = next((cells for _, cells in rows if cells), [])
        fields = _fields(names, options.columns)
        _check_fields(fields, names, options)
        for place, cells in rows:
            if cells is None:
                yield SourceRow(place, None, None, error="Its quotes are wrong: one inside a cell must be doubled.")
                continue
            raw = dict(zip(names, cells, strict=False)) if len(set(names)) == len(names) else cells
            if not cells:
                continue
            if len(cells) != len(names):
                error = f"It has {len(cells)} cells, but the first row has {len(names)}."
                yield SourceRow(place, raw, raw, error=error)
            else:
                yield _read_row(place, raw, {field: cells[n] for field, n in fields.items()}, options)


def _without_hint(text: Iterator[str]) -> Iterator[str]:
    """The lines without `sep=;`, by which some spreadsheets tell each other the delimiter."""
    for number, line in enumerate(text):
        if number or not _HINT.fullmatch(line):
            yield line


def _records(reader: Any) -> Iterator[tuple[int, list[str] | None]]:
    """Each record with its number; None for one whose quotes are wrong."""
    place = 0
    while True:
        place += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise FileDamaged(f"it ends early in row {place:,}; the calls before that are kept") from None
            if "field larger" in str(error):
                raise FileDamaged(f"row {place:,} has a cell without end; the calls before that are kept") from None
            yield place, None
            continue
        yield place, cells


def _headers(head: str) -> list[list[str]]:
    """The names in the first row, by each delimiter."""
    found = []
    for delimiter in DELIMITERS:
        text = (line for line in head.splitlines(keepends=True) if line.strip() and not _HINT.fullmatch(line))
        try:
            found.append(next(csv.reader(text, delimiter=delimiter), []))
        except csv.Error:
            found.append([])
    return found


def _delimiter(head: str, columns: Mapping[str, str]) -> str:
    names = dict(zip(DELIMITERS, _headers(head), strict=True))
    return max(DELIMITERS, key=lambda one: (len(_fields(names[one], columns)), len(names[one])))


def _fields(names: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Which column holds what: where a person said so, else by its name. -1 where two could."""
    plain = [re.sub(r"\W+", "_", trim(name).casefold()).strip("_") for name in names]
    found: dict[str, int] = {}
    for field, header in columns.items():
        places = [n for n, name in enumerate(names) if trim(name) == trim(header)]
        found |= {field: places[0] if len(places) == 1 else -1} if places else {}
    for n, name in enumerate(plain):
        field = _FIELDS.get(name, "")
        if field and field not in columns and n not in found.values():
            found[field] = -1 if field in found else n
    return found


def _missing(fields: Mapping[str, int]) -> list[str]:
    """What a table must have and this one has not."""
    time = [] if {"started_at", "started_at_ms"} & fields.keys() else ["started_at"]
    return time + [field for field in ("kind", "number") if field not in fields]


def _check_fields(fields: Mapping[str, int], names: list[str], options: Options) -> None:
    for field, header in options.columns.items():
        if field not in fields:
            raise FileRefused(f"it has no column of the name that --column gives for {field}; it said {header}")
    if missing := _missing(fields):
        wanted = " ".join(f"--column {field}=HEADER" for field in missing)
        raise FileRefused(
            f"no name in its first row tells which column is the {' and the '.join(missing)}; say {wanted}"
        )
    if doubtful := [field for field, n in fields.items() if n < 0]:
        wanted = " ".join(f"--column {field}=HEADER" for field in doubtful)
        raise FileRefused(f"several of its columns could be the {' and the '.join(doubtful)}; say which, {wanted}")
    unknown = [field for field in ("name", "duration_sec") if field not in fields]
    if unknown and len(names) > len(fields):
        wanted = " ".join(f"--column {field}=HEADER" for field in unknown)
        options.warn(f"no column is taken for the {' and the '.join(unknown)}; if it has one, say {wanted}")


def _read_row(place: int, raw: Any, cells: dict[str, str], options: Options) -> SourceRow:
    texts = {field: unguard(cell) for field, cell in cells.items()}
    row: dict[str, Any] = {field: text for field, text in texts.items() if trim(text)}
    said: dict[str, Any] = {} if "source" in cells else {"source": NAME}

    def bad(error: str) -> SourceRow:
        return SourceRow(place, raw, raw, error=error)

    kind = trim(row.pop("kind", "")).lower()
    if kind not in WORDS:
        return bad(f"kind must be one of {', '.join(KINDS)}, or Android's number of it.")
    if kind not in KINDS:
        said["type_raw"] = kind
    if "number" in row and _ROUNDED.fullmatch(trim(row["number"])):
        return bad("A spreadsheet has rounded this number; make its column one of text there, and save it again.")
    if "duration_sec" in row:
        row["duration_sec"] = read_duration(trim(row["duration_sec"]))
        if row["duration_sec"] is None:
            return bad("duration_sec must be whole seconds, MM:SS or H:MM:SS.")
    for field in INTEGERS:
        if field in row:
            row[field] = int(row[field]) if _WHOLE.fullmatch(trim(row[field])) else row[field]
    if "started_at_ms" not in row and "started_at" in row:
        text = trim(row["started_at"])
        if _WHOLE.fullmatch(text):
            row["started_at_ms"] = int(text)
        elif moment := read_moment(text, options.time_zone):
            said |= {"date_ms": moment.ms, "date_other_ms": moment.other_ms}
            said["precision"] = "ms" if moment.is_precise else "s"
        else:
            return bad("started_at must be a time such as 2026-02-24 12:49:39 that the clocks of its zone showed.")
    row["name"] = known_name(row.get("name"))
    report = said | {"type": WORDS[kind]} | exported_report(row)
    return SourceRow(place, raw, report, device=row.get("device", ""), is_numbered="occurrence" in row)


def guard(text: str) -> str:
    """A text as an export writes it into a table, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if GUARDED.match(text) else text


def guard_number(number: str) -> str:
    """The same of a number: one of digits after a `+` stays as it is."""
    return number if PLAIN_NUMBER.fullmatch(number) else guard(number)


def unguard(text: str) -> str:
    """The text that `guard` was given."""
    return text[1:] if text.startswith("'") and GUARDED.match(text) else text
