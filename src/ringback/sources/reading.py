"""Reading text files piece by piece, whatever their encoding and their state."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from zoneinfo import ZoneInfo

from ringback.calls.contract import JSON
from ringback.errors import RingbackError

HEAD_CHARACTERS: Final = 10_000
PIECE_BYTES: Final = 65_536

LONGEST_ROW: Final = 4_000_000
"""Characters of a row, beyond which a file is taken for damaged."""

_NAMES: Final = {"utf-16": "UTF-16", "utf-8-sig": "UTF-8"}
_LINE_END: Final = re.compile(r"\r\n|\n|\r(?!\Z)")
_BETWEEN_ITEMS: Final = re.compile(r"[ \t\r\n]*")


class SourceFile(NamedTuple):
    """A file, or one in an archive, that can be opened any number of times."""

    name: str
    open: Callable[[], BinaryIO]
    path: Path | None = None
    """Where it lies; None in an archive."""


class Options(NamedTuple):
    """What a person says of a file that it does not say itself."""

    time_zone: ZoneInfo
    """That of local times."""
    columns: Mapping[str, str]
    """The headers of a table's columns, by what they hold."""
    warn: Callable[[str], None] = lambda _: None
    """Takes a sentence on what is taken, but may not be all."""


class SourceRow(NamedTuple):
    """One row of a file."""

    place: int
    """Which row of the file it is, from 1 on."""
    raw: Any
    """As it stands there, to be shown where it can't be taken."""
    report: Any
    """What it says, in the words of a CallReport."""
    order: int | None = None
    """The source's own number of the row, which says which of equal rows is older; None where it has none."""
    device: str = ""
    """The name of the phone whose call it is, where the row says it."""
    is_numbered: bool = False
    """Whether the report has its number among equal ones already."""
    error: str = ""
    """Why it can't be taken, where that is not the report's fault."""


class FileRefused(RingbackError):
    """A file of which nothing is taken."""


class FileDamaged(RingbackError):
    """A file whose rows up to here are good."""


def pieces(file: BinaryIO, errors: str = "strict") -> Iterator[str]:
    """The text of a file, piece by piece. A byte order mark decides its encoding; without one it is UTF-8.

    `errors` says what becomes of bytes that can't be decoded, as Python names it. Raises FileRefused for them where it
    is `strict`, and FileDamaged where the file ends inside a character.
    """
    head = file.read(len(codecs.BOM_UTF16))
    encoding = "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    try:
        yield decoder.decode(head)
        while piece := file.read(PIECE_BYTES):
            yield decoder.decode(piece)
    except UnicodeDecodeError:
        raise FileRefused(f"it has bytes that are no {_NAMES[encoding]}; save it as UTF-8") from None
    try:
        yield decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise FileDamaged("it ends inside a character; the calls before that are kept") from None


def read_head(file: BinaryIO, errors: str = "replace") -> str:
    """The beginning of a file's text. Raises FileRefused where `errors` is `strict`."""
    head = ""
    with suppress(FileDamaged):
        for piece in pieces(file, errors):
            head += piece
            if len(head) >= HEAD_CHARACTERS:
                break
    return head


def pieces_cut_after(mark: str, file: BinaryIO) -> Iterator[str]:
    """The text of a file in pieces that each end with the mark, save the last."""
    rest = ""
    for piece in pieces(file):
        rest += piece
        end = rest.rfind(mark) + len(mark) if mark in piece else 0
        if end:
            yield rest[:end]
            rest = rest[end:]
        else:
            _check_length(rest)
    yield rest


def lines(file: BinaryIO) -> Iterator[str]:
    """The lines of a file with their ends (of Unix, Windows or old Macs). Raises FileRefused, FileDamaged."""
    rest = ""
    for piece in pieces(file):
        seen = max(len(rest) - 1, 0)  # a \r at the end, before a \n
        rest += piece
        place = 0
        for match in _LINE_END.finditer(rest, seen):
            yield rest[place : match.end()]
            place = match.end()
        rest = rest[place:]
        _check_length(rest)
    if rest:
        yield rest


def _check_length(rest: str) -> None:
    if len(rest) > LONGEST_ROW:
        raise FileDamaged("a row in it is too long; the calls before that are kept")


def json_items(file: BinaryIO) -> Iterator[Any]:
    """The items of a JSON array, one by one. Raises FileRefused, FileDamaged."""
    text, place, items = "", 0, 0
    mark = "["
    """What has to come before the next item."""
    for piece in pieces(file):
        text, place = text[place:] + piece, 0
        while True:
            start = _skip(text, place)
            if text[start : start + 1] == "]" and mark != "[":
                if text[start + 1 :].strip():
                    raise FileDamaged("there is more after its end; the calls before that are kept")
                return
            if mark and text[start : start + 1] == mark:
                place, mark = start + 1, ""
                continue
            if mark and start < len(text):
                raise _json_damage(items)
            try:
                item, end = JSON.raw_decode(text, start)
            except json.JSONDecodeError:
                break  # it goes on in the next piece
            except (ValueError, RecursionError):
                raise _json_damage(items) from None
            if end == len(text):
                break  # a number may go on
            yield item
            items, place, mark = items + 1, end, ","
        _check_length(text[place:])
    raise _json_damage(items)


def _skip(text: str, place: int) -> int:
    match = _BETWEEN_ITEMS.match(text, place)
    return match.end() if match else place


def _json_damage(items: int) -> FileDamaged:
    return FileDamaged(f"it is damaged or ends early after row {items:,}; the calls before that are kept")
