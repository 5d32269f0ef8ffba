"""Backup files: one file here for each kind. A kind is recognised by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from ringback.sources import sms_backup_restore
from ringback.sources.reading import FileRefused, SourceRow, read_head


class Source(NamedTuple):
    """How one kind of file is recognised and read."""

    recognises: Callable[[str], bool]
    """Whether a file whose text begins so is of this kind."""
    read: Callable[[BinaryIO], Iterator[SourceRow]]
    """The rows of a file. Raises FileRefused; FileDamaged after the last row that is good."""


SOURCES: Final = {
    sms_backup_restore.NAME: Source(sms_backup_restore.recognises, sms_backup_restore.read),
}
"""By the name of their format."""


def read_file(path: Path, format: str | None, on_read: Callable[[int], None]) -> Iterator[SourceRow]:
    """The rows of a file of a format, or of the one that its content shows.

    `on_read` is told how many bytes have been read. Raises FileRefused, FileDamaged.
    """
    try:
        with path.open("rb") as file:
            source = SOURCES[format] if format else _recognise(file)
            for row in source.read(file):
                on_read(file.tell())
                yield row
    except OSError as error:
        raise FileRefused(f"it can't be read ({error.strerror or 'input error'})") from None


def _recognise(file: BinaryIO) -> Source:
    head = read_head(file)
    file.seek(0)
    if not head.strip():
        raise FileRefused("it is empty")
    for source in SOURCES.values():
        if source.recognises(head):
            return source
    raise FileRefused("it is no backup of calls that Ringback knows")
