"""Backup files: one file here for each kind. A kind is recognised by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from ringback.sources import adb, ios, json_lines, sms_backup_restore, sms_import_export, tables, takeout, termux
from ringback.sources.archives import files_in_folder, files_in_zip, is_zip
from ringback.sources.reading import FileDamaged, FileRefused, Options, SourceFile, SourceRow, read_head

HEAD_BYTES: Final = 16
ROWS_PER_WORD: Final = 500
"""Rows after which who waits is told how far the reading is."""


class Source(NamedTuple):
    """How one kind of file is recognised and read."""

    recognises: Callable[[str], bool] | None
    """Whether a file whose text begins so is of this kind; None for one that is no text."""
    read: Callable[[SourceFile, Options], Iterator[SourceRow]]
    """The rows of a file. Raises FileRefused; FileDamaged after the last row that is good."""


SOURCES: Final = {
    ios.NAME: Source(None, ios.read),
    takeout.NAME: Source(takeout.recognises, takeout.read),
    sms_backup_restore.NAME: Source(sms_backup_restore.recognises, sms_backup_restore.read),
    termux.NAME: Source(termux.recognises, termux.read),
    sms_import_export.NAME: Source(sms_import_export.recognises, sms_import_export.read),
    adb.NAME: Source(adb.recognises, adb.read),
    json_lines.NAME: Source(json_lines.recognises, json_lines.read),
    tables.NAME: Source(tables.recognises, tables.read),
}
"""By the name of their format, in the order in which they are tried."""


class Part(NamedTuple):
    """What is numbered by itself: a file, one in an archive, or all pages of a Takeout."""

    name: str
    """Which file of an archive or folder it is; "" for a file that is read whole."""
    format: str
    """"" for a file that is too damaged to tell."""
    rows: Iterator[SourceRow]
    """Raises FileRefused, and FileDamaged after the last row that is good."""


def read_parts(path: Path, format: str | None, options: Options, on_read: Callable[[int], None]) -> Iterator[Part]:
    """What is in a file, archive or folder, of a format or of the one that its content shows.

    `on_read` is told how many bytes of a file have been read. Raises FileRefused.
    """
    try:
        if path.is_dir():
            for part in _parts_within(files_in_folder(path), format, options, "a folder"):
                yield part._replace(rows=_watched(part.rows, lambda: 0, on_read))
            return
        with path.open("rb") as opened:
            if is_zip(opened.read(HEAD_BYTES)):
                for part in _parts_within(files_in_zip(opened), format, options, "a ZIP"):
                    yield part._replace(rows=_watched(part.rows, opened.tell, on_read))
                return
        yield _lone_part(path, format, options, on_read)
    except OSError as error:
        raise _unreadable(error) from None


def _lone_part(path: Path, format: str | None, options: Options, on_read: Callable[[int], None]) -> Part:
    handles: list[BinaryIO] = []

    def open_file() -> BinaryIO:
        handles.append(path.open("rb"))
        return handles[-1]

    def position() -> int:
        return handles[-1].tell() if handles and not handles[-1].closed else 0

    file = SourceFile(path.name, open_file, path)
    name = format or _recognise(file) or _guess(file)
    return Part("", name, _watched(SOURCES[name].read(file, options), position, on_read))


def _parts_within(files: list[SourceFile], format: str | None, options: Options, what: str) -> Iterator[Part]:
    """The parts of an archive or folder; files that are no backup of calls are passed over. Raises FileRefused."""
    pages: list[SourceFile] = []
    found, others = False, 0
    for file in files:
        try:
            name = _recognise(file)
        except FileDamaged as damage:
            found = True
            yield Part(file.name, "", _raising(damage))
            continue
        is_other_database = name == ios.NAME and not file.name.endswith(ios.ENDING)
        if name is None or is_other_database or format not in (None, name):
            others += 1
            continue
        found = True
        if name == takeout.NAME:
            pages.append(file)
        else:
            yield Part(file.name, name, SOURCES[name].read(file, options))
    if pages:
        yield Part("Takeout", takeout.NAME, takeout.read_pages(pages))
    if not found:
        raise FileRefused(f"it is {what} without a call log that Ringback knows")
    if others:
        options.warn(f"passed over in it, as no backup of calls: files, {others:,}")


def _raising(damage: FileDamaged) -> Iterator[SourceRow]:
    yield from ()
    raise damage


def _watched(
    rows: Iterator[SourceRow], position: Callable[[], int], on_read: Callable[[int], None]
) -> Iterator[SourceRow]:
    try:
        for number, row in enumerate(rows):
            if number % ROWS_PER_WORD == 0:
                on_read(position())
            yield row
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> FileRefused:
    return FileRefused(f"it can't be read ({error.strerror or 'input error'})")


def _recognise(file: SourceFile) -> str | None:
    """The format that the content shows without a doubt. Raises FileDamaged for a broken entry of an archive."""
    with file.open() as opened:
        if ios.recognises(opened.read(HEAD_BYTES)):
            return ios.NAME
    with file.open() as opened:
        head = read_head(opened)
    return next((name for name, source in SOURCES.items() if source.recognises and source.recognises(head)), None)


def _guess(file: SourceFile) -> str:
    """The format of a lone file that shows none, so that its reader can say what is wrong. Raises FileRefused."""
    with file.open() as opened:
        if ios.is_wal(opened.read(HEAD_BYTES)):
            raise FileRefused(
                "it is the -wal of a database; import the file beside it, which has the same name without -wal"
            )
    with file.open() as opened:
        head = read_head(opened, "strict").lstrip()
    if not head:
        raise FileRefused("it is empty")
    if "<html" in head:
        raise FileRefused("it is a web page, but no call of Google Voice")
    if head.startswith("<"):
        return sms_backup_restore.NAME
    if not head.startswith(("{", "[")) and tables.is_table(head):
        return tables.NAME
    raise FileRefused("it is no backup of calls that Ringback knows")
