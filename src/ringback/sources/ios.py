"""`CallHistory.storedata`: the SQLite file in which iPhones, and Macs for them, keep calls (table ZCALLRECORD).

Source: the table as it stands in backups of iPhones; its columns vary with the release.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import apsw

from ringback.calls.contract import MOST_INT
from ringback.sources.android import known_name
from ringback.sources.reading import LONGEST_ROW, FileDamaged, FileRefused, Options, SourceFile, SourceRow

NAME: Final = "ios"
ENDING: Final = ".storedata"
MAGIC: Final = b"SQLite format 3\0"
WAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")

APPLE_EPOCH_US: Final = 978_307_200_000_000
"""2001-01-01 UTC in microseconds since 1970."""

NO_PLACE: Final = "<<RecentsNumberLocationNotFound>>"
_WAL_VERSION: Final = 18
"""The byte of the header that is 2 where newer rows may stand in a `-wal` file."""

_NEEDED: Final = ("Z_PK", "ZDATE", "ZADDRESS", "ZORIGINATED", "ZANSWERED")
_WANTED: Final = (*_NEEDED, "ZDURATION", "ZNAME", "ZLOCATION", "ZISO_COUNTRY_CODE")
_COPY_TRIES: Final = 5
_OPEN_URI: Final = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is an SQLite file."""
    return head.startswith(MAGIC)


def is_wal(head: bytes) -> bool:
    """Whether a file that begins so holds the newest rows of an SQLite file beside it."""
    return head.startswith(WAL_MAGIC)


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of a database. Raises FileRefused, FileDamaged."""
    with TemporaryDirectory(prefix="ringback-") as folder:
        path = file.path or _unpack(file, Path(folder))
        with path.open("rb") as opened:
            head = opened.read(_WAL_VERSION + 1)
        if len(head) <= _WAL_VERSION or not head.startswith(MAGIC):
            raise FileRefused("it is no database of an iPhone's calls")
        if head[_WAL_VERSION] == 2 and not _wal(path).exists():
            options.warn(f"{_wal(path).name} is not beside it: the newest calls may be missing; copy both, then import")
        try:
            connection = _open(path)
        except apsw.Error:
            connection = _open_copy(path, Path(folder))
        with closing(connection):
            yield from _rows(connection)


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _unpack(file: SourceFile, folder: Path) -> Path:
    path = folder / "unpacked.storedata"
    with file.open() as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path


def _open(path: Path) -> apsw.Connection:
    """The file opened for reading alone, in a transaction. Raises apsw.Error."""
    connection = apsw.Connection(f"{path.absolute().as_uri()}?mode=ro", flags=_OPEN_URI)
    try:
        # What the file says is not to be trusted: a schema may hold what runs for ever.
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, LONGEST_ROW)
        connection.execute("begin")
        connection.execute("select count(*) from sqlite_schema").fetchall()
    except apsw.Error:
        connection.close()
        raise
    return connection


def _open_copy(path: Path, folder: Path) -> apsw.Connection:
    """A copy of the file and its `-wal`: where the folder can't be written, SQLite can't read the two together."""
    copy = folder / "CallHistory.storedata"
    for _ in range(_COPY_TRIES):
        before = _state(path)
        shutil.copyfile(path, copy)
        if _wal(path).exists():
            shutil.copyfile(_wal(path), _wal(copy))
        if _state(path) == before:  # else its phone or Mac wrote meanwhile
            break
    try:
        return _open(copy)
    except apsw.Error:
        raise FileRefused("it is a damaged database; make a new backup, or copy it together with its -wal") from None


def _state(path: Path) -> list[tuple[int, int]]:
    return [(one.stat().st_size, one.stat().st_mtime_ns) for one in (path, _wal(path)) if one.exists()]


def _rows(connection: apsw.Connection) -> Iterator[SourceRow]:
    damaged = FileRefused("it is a damaged database; make a new backup, or copy it together with its -wal")
    try:
        if connection.execute("pragma quick_check(1)").fetchall() != [("ok",)]:
            raise damaged
        found = connection.execute(
            "select rootpage from sqlite_schema where type = 'table' and name = 'ZCALLRECORD'"
        ).fetchall()
        if not found or not found[0][0]:
            raise FileRefused("it is a database, but none of an iPhone's calls: it has no table ZCALLRECORD")
        columns = {row[1].upper() for row in connection.execute("pragma table_info(ZCALLRECORD)")}
        if missing := [name for name in _NEEDED if name not in columns]:
            raise FileRefused(f"its table of calls has no column {missing[0]}; tell us which iOS it comes from")
        wanted = [name for name in _WANTED if name in columns]
        # Text as bytes, since it may be no UTF-8 in a damaged file.
        values = ", ".join(f"case typeof({one}) when 'text' then cast({one} as blob) else {one} end" for one in wanted)
        cursor = connection.execute(f"select {values} from ZCALLRECORD order by Z_PK")
    except (apsw.Error, UnicodeDecodeError):
        raise damaged from None
    place = 0
    try:
        for place, cells in enumerate(cursor, 1):
            row = {name: _text(value) for name, value in zip(wanted, cells, strict=True)}
            number = row["Z_PK"] if isinstance(row["Z_PK"], int) else None
            yield SourceRow(place, _shown(row), _report(row), number)
    except apsw.Error:
        raise FileDamaged(f"it is damaged after row {place:,}; the calls before that are kept") from None


def _text(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The row as JSON can hold it."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _report(row: dict[str, Any]) -> dict[str, Any]:
    address, place = row["ZADDRESS"], row.get("ZLOCATION")
    report = {
        "number": address if address is None else str(address),
        "type": "outgoing" if row["ZORIGINATED"] == 1 else "incoming" if row["ZANSWERED"] == 1 else "missed",
        "duration_sec": _seconds(row.get("ZDURATION")),
        "cached_name": known_name(row.get("ZNAME")) if isinstance(row.get("ZNAME"), str) else row.get("ZNAME"),
        "geo_location": None if place == NO_PLACE else place,
        "country_iso": row.get("ZISO_COUNTRY_CODE"),
        "source": NAME,
    }
    if row["ZDATE"] is not None:
        report["date_ms"] = _moment(row["ZDATE"])
    return report


def _moment(value: Any) -> Any:
    """The ms since 1970 of seconds since 2001. Its fraction has some digits that are noise, so microseconds count."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return str(value)
    return (round(value * 1_000_000) + APPLE_EPOCH_US) // 1_000


def _seconds(value: Any) -> Any:
    if value is None:
        return 0
    if not isinstance(value, int | float) or not math.isfinite(value):
        return str(value)
    return min(math.trunc(value), MOST_INT + 1)
