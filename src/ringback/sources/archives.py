"""ZIP archives and folders: the files in them, as if they lay apart."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from ringback.sources.reading import FileDamaged, FileRefused, SourceFile

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")

LARGE_BYTES: Final = 100_000_000
MOST_TIMES: Final = 100
"""No call log shrinks to less than a hundredth: a larger file that does was made to fill a disk."""

_ENCRYPTED: Final = 0x1
_FAULTS: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
"""What reading a broken entry raises."""


class Entry:
    """A file of an archive or folder, open for reading. What a broken one raises becomes FileDamaged."""

    def __init__(self, open_it: Callable[[], Any]) -> None:
        try:
            self._opened = open_it()
        except _FAULTS:
            raise _damaged() from None

    def read(self, size: int = -1) -> bytes:
        """See BinaryIO."""
        try:
            return bytes(self._opened.read(size))
        except _FAULTS:
            raise _damaged() from None

    def __enter__(self) -> Entry:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _damaged() -> FileDamaged:
    return FileDamaged("it is damaged; the calls before that are kept")


def _reader(open_it: Callable[[], Any]) -> Callable[[], BinaryIO]:
    return lambda: cast("BinaryIO", Entry(open_it))


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP archive."""
    return head.startswith(MAGIC)


def files_in_zip(opened: BinaryIO) -> list[SourceFile]:
    """The files in an archive, by their names. Raises FileRefused."""
    try:
        archive = zipfile.ZipFile(opened)
        members = [one for one in archive.infolist() if not one.is_dir() and not _is_hidden(one.filename)]
    except _FAULTS:
        raise FileRefused("it is a ZIP that is damaged or ends early; copy it again") from None
    if any(one.flag_bits & _ENCRYPTED for one in members):
        raise FileRefused("it is a ZIP with a password; unpack it, then import what was in it")
    for one in members:
        if one.file_size > LARGE_BYTES and one.file_size > MOST_TIMES * one.compress_size:
            raise FileRefused("it is a ZIP that unpacks to more than a hundred times its size; no call log does")
    return [
        SourceFile(one.filename, _reader(partial(archive.open, one)))
        for one in sorted(members, key=lambda one: one.filename)
    ]


def files_in_folder(folder: Path) -> list[SourceFile]:
    """The files in a folder and those in it, by their names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [SourceFile(path.relative_to(folder).as_posix(), _reader(partial(path.open, "rb")), path) for path in paths]
    return [file for file in files if not _is_hidden(file.name)]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
