"""What `adb shell content query --uri content://call_log/calls` prints: a line a row, its values unescaped.

Source: the shell command `content` of Android (com.android.commands.content.Content).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ringback.sources.android import COLUMNS, PROVIDER, android_report, row_number
from ringback.sources.reading import LONGEST_ROW, FileDamaged, Options, SourceFile, SourceRow, lines, read_head

NAME: Final = "adb"
NOTHING: Final = "No result found."

_ROW: Final = re.compile(r"Row: ([0-9]{1,10}) ([A-Za-z_][A-Za-z0-9_]*)=")
_COLUMN: Final = re.compile(r"(?:^|, )([A-Za-z_][A-Za-z0-9_]*)=")


def recognises(head: str) -> bool:
    """Whether a file that begins so is of this kind."""
    head = head.lstrip()
    return bool(_ROW.match(head)) or head.startswith(NOTHING)


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of an output. Raises FileRefused, FileDamaged."""
    del options
    with file.open() as opened:
        columns = _columns(read_head(opened))
    with file.open() as opened:
        for place, text in enumerate(_rows(lines(opened), columns), 1):
            row = _values(text, columns)
            yield SourceRow(place, text, android_report(row, PROVIDER), row_number(row))


def _columns(head: str) -> frozenset[str]:
    """The names that are columns: Android's, and those of the phone's maker, which every row has."""
    rows = re.split(r"^Row: [0-9]+ ", head, flags=re.MULTILINE)[1:-1]
    named = [frozenset(_COLUMN.findall(row)) for row in rows]
    common = frozenset.intersection(*named) if len(named) > 1 else frozenset()
    return COLUMNS | common


def _rows(text: Iterator[str], columns: frozenset[str]) -> Iterator[str]:
    """The text of each row without its number. A row with a line break in a name goes on in the next line."""
    number, row = 0, ""
    for line in text:
        match = _ROW.match(line)
        if match and int(match[1]) == number and match[2] in columns:
            if row:
                yield row
            number, row = number + 1, line[match.start(2) :]
        elif number:
            row += line
            if len(row) > LONGEST_ROW:
                raise FileDamaged("a row in it is too long; the calls before that are kept")
    if row:
        if not row.endswith(("\n", "\r")):
            raise FileDamaged(f"it ends early in row {number:,}; the calls before that are kept")
        yield row


def _values(text: str, columns: frozenset[str]) -> dict[str, str]:
    """The values by column; what is NULL is left out. A name counts the first time alone: values are not escaped."""
    text = text.removesuffix("\n").removesuffix("\r")
    found: dict[str, tuple[int, int]] = {}
    ends = []
    for match in _COLUMN.finditer(text):
        if match[1] in columns and match[1] not in found:
            found[match[1]] = (match.start(), match.end())
            ends.append(match.start())
    ends = [*ends[1:], len(text)]
    values = {name: text[start:end] for (name, (_, start)), end in zip(found.items(), ends, strict=True)}
    return {name: value for name, value in values.items() if value not in ("NULL", "BLOB")}
