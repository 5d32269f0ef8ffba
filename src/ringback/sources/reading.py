"""Reading text files piece by piece, whatever their encoding and their state."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final, NamedTuple

from ringback.errors import RingbackError

HEAD_CHARACTERS: Final = 10_000
PIECE_BYTES: Final = 65_536

LONGEST_ROW: Final = 4_000_000
"""Characters of a row, beyond which a file is taken for damaged."""


_NAMES: Final = {"utf-16": "UTF-16", "utf-8-sig": "UTF-8"}


class SourceRow(NamedTuple):
    """One row of a file."""

    place: int
    """Which row of the file it is, from 1 on."""
    raw: Any
    """As it stands there, to be shown where it can't be taken."""
    report: dict[str, Any]
    """What it says, in the words of a CallReport."""


class FileRefused(RingbackError):
    """A file of which nothing is taken."""


class FileDamaged(RingbackError):
    """A file whose rows up to here are good."""


def pieces(file: BinaryIO) -> Iterator[str]:
    """The text of a file, piece by piece. A byte order mark decides its encoding; without one it is UTF-8.

    Raises FileRefused for bytes that can't be decoded, and FileDamaged where it ends inside a character.
    """
    head = file.read(len(codecs.BOM_UTF16))
    encoding = "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)()
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


def read_head(file: BinaryIO) -> str:
    """The beginning of a file's text. Raises FileRefused."""
    head = ""
    with suppress(FileDamaged):
        for piece in pieces(file):
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
        elif len(rest) > LONGEST_ROW:
            raise FileDamaged("a row in it is too long; the calls before that are kept")
    yield rest
