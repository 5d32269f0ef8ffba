"""Backup files come in: read whole, their rows numbered, then stored through the same store as a phone's reports."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from ringback.accounts import check_name, next_number
from ringback.calls.contract import BadReport, CallReport, is_too_deep, parse_report
from ringback.calls.matching import identify
from ringback.calls.rejected import Rejected, list_rejected
from ringback.calls.store import STATUSES, take_in
from ringback.db import Connection, Database, T
from ringback.devices import import_device, import_device_name
from ringback.errors import InvalidParameter, NotFound, RingbackError, Unavailable
from ringback.ids import IMPORT, make_id, read_id
from ringback.sources import Part, read_parts
from ringback.sources.reading import FileDamaged, FileRefused, Options, SourceRow
from ringback.times import now_ms, rfc3339

ROWS_PER_COMMIT: Final = 2_000
PAUSE_SECONDS: Final = 0.005
"""Between commits, so that phones and readers of the same file come to their turn."""

MOST_REJECTED_KEPT: Final = 1_000

MOST_PHONES: Final = 1_000
"""Of one file: more names are no phones, and each would be made."""

ANALYZE_AFTER: Final = (1_000, 10_000, 100_000)
"""Rows after which the database's planner is told how the tables have grown."""

LONGEST_NAME: Final = 200
SIGN_MS: Final = 10_000
"""How often a long reading gives a sign of life."""
SILENT_MS: Final = 60_000
"""An import that gave none for so long was interrupted."""

Progress = Callable[[str, int, int], None]
"""Told of `reading` (bytes) or `storing` (rows): how much is done, and of how much; 0 where that is not known."""


class Import(msgspec.Struct, frozen=True):
    """What became of a file."""

    id: str
    name: str
    format: str | None
    state: str
    """`running`, `done`, `refused` or `interrupted`."""
    started_at: str
    started_ms: int
    readable: int | None
    created: int
    updated: int
    duplicate: int
    withheld: int
    rejected: int
    damage: str | None
    """What is wrong with the file as a whole."""
    warning: str | None
    """What may be missing of a file that was taken."""

    @property
    def is_whole(self) -> bool:
        """Whether every row of the file was taken."""
        return self.state == "done" and not self.rejected and not self.damage

    @property
    def share(self) -> float | None:
        """How much of the file has been stored, from 0 to 1; None while it is still being read."""
        if self.readable is None:
            return None
        return (self.created + self.updated + self.duplicate + self.withheld) / max(self.readable, 1)


class Stopped(Exception):
    """Nobody waits for the file any more."""


class StagedFile:
    """A file's rows in a temporary database on disk, numbered, before anything is stored."""

    def __init__(
        self, path: Path, format: str | None, options: Options, on_read: Callable[[int], None], device: str = ""
    ) -> None:
        """Read the file; with `device` its rows are of that phone, whatever they say. Raises FileRefused."""
        self.rejected: list[tuple[str, BadReport]] = []
        """The first of the rows that can't be taken, with the names of their phones."""
        self.rejected_count = 0
        self.count = 0
        """Rows that can be taken."""
        self.damages: list[str] = []
        """What is wrong with the file as a whole."""
        self.warnings: list[str] = []
        """What may be missing of a file that was taken."""
        self.formats: list[str] = []
        self._device = device
        self._checked: dict[str, str] = {"": ""}
        self._rows = apsw.Connection("")
        self._rows.execute("pragma journal_mode=off; pragma synchronous=off")
        self._rows.execute(
            "create table rows (part, place, row_order, device, direction, second, key_hash,"
            " undecided, date_ms, number, report)"
        )
        try:
            with self._rows:
                parts = read_parts(path, format, options._replace(warn=self.warnings.append), on_read)
                taken = [self._read_part(*part) for part in enumerate(parts)]
                [(self.count,)] = self._rows.execute("select count(*) from rows")
            if not any(taken):
                raise FileRefused("; ".join(self.damages))
        except apsw.Error:
            self.close()
            raise Unavailable("The disk for temporary files is full or broken; make room, or set TMPDIR.") from None
        except BaseException:
            self.close()
            raise

    @property
    def devices(self) -> set[str]:
        """The names of the phones whose calls are in it; "" stands for the one that a person names."""
        found = {device for (device,) in self._rows.execute("select distinct device from rows")}
        return found | {device for device, _ in self.rejected}

    def _read_part(self, number: int, part: Part) -> bool:
        """Whether anything was taken of it."""
        where = f"{part.name} in it: " if part.name else ""
        counted, kept = self.rejected_count, len(self.rejected)
        try:
            for row in part.rows:
                self._add(number, row)
        except FileDamaged as damage:
            self.damages.append(f"{where}{damage.detail}")
        except FileRefused as refusal:
            if not part.name:
                raise
            self._rows.execute("delete from rows where part = ?", (number,))
            self.rejected_count, self.rejected[kept:] = counted, []
            self.damages.append(f"{where}{refusal.detail}")
            return False
        self.formats += [part.format] if part.format not in ("", *self.formats) else []
        return True

    def _add(self, part: int, row: SourceRow) -> None:
        device, report = self._check(row)
        if isinstance(report, BadReport):
            self.rejected_count += 1
            if len(self.rejected) < MOST_REJECTED_KEPT:
                self.rejected.append((device, report))
            return
        direction, second, key_hash, _ = identify(report)
        self._rows.execute(
            "insert into rows values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                part, row.place, row.place if row.order is None else row.order, device, direction, second, key_hash,
                report.date_other_ms is not None, report.date_ms, report.occurrence if row.is_numbered else None,
                msgspec.msgpack.encode(report),
            ),
        )  # fmt: skip

    def _check(self, row: SourceRow) -> tuple[str, CallReport | BadReport]:
        """The name of the row's phone, and its report or why it can't be taken."""
        device, error = self._device or row.device, row.error
        if device not in self._checked:
            error = error or self._check_device(device)
        if not error:
            report = parse_report(row.report, now_ms(), row.place)
            if isinstance(report, CallReport):
                return self._checked[device], report
            error = report.error
        raw = "It is nested too deeply to be shown." if is_too_deep(row.raw) else row.raw
        return self._checked.get(device, ""), BadReport(error, raw, row.place)

    def _check_device(self, device: str) -> str:
        """What is wrong with the name of a phone; "" where nothing is."""
        if len(self._checked) > MOST_PHONES:
            return f"A file may have calls of at most {MOST_PHONES:,} phones."
        try:
            self._checked[device] = check_name(device, "The name of a phone")
        except InvalidParameter as error:
            return error.detail
        return ""

    def reports(self) -> Iterator[tuple[str, CallReport]]:
        """The phone's name and the report of each row, oldest first, with its number among equal rows."""
        sql = (
            "select device, report, coalesce(number, row_number() over (partition by part, device, direction, second,"
            " key_hash, undecided order by date_ms, row_order, place) - 1)"
            " from rows order by date_ms, part, row_order, place"
        )
        decoder = msgspec.msgpack.Decoder(CallReport)
        for device, report, occurrence in self._rows.execute(sql):
            yield device, msgspec.structs.replace(decoder.decode(report), occurrence=occurrence)

    def close(self) -> None:
        """Remove the temporary database."""
        self._rows.close()


def without_companions(files: list[Path]) -> list[Path]:
    """The files without a `-wal` or `-shm` whose database is among them: they are read with it."""
    return [
        file for file in files if not (file.name.endswith(("-wal", "-shm")) and file.with_name(file.name[:-4]) in files)
    ]


async def begin_import(database: Database, account_id: int, name: str) -> int:
    """Note that a file of a name is about to come in; returns the import's number. Raises NotFound."""
    return await database.write(lambda c: _begin(c, account_id, name), account_id)


async def import_file(
    database: Database,
    account_id: int,
    path: Path,
    options: Options,
    *,
    number: int | None = None,
    device: str = "",
    format: str | None = None,
    progress: Progress | None = None,
    tell_all: bool = False,
) -> Import:
    """Bring the calls of a file in, and keep what became of it; returns that.

    `number` is that of an import that has been begun, `device` the name of the phone whose calls they are; with
    `tell_all` endpoints hear of all its calls, else of those of the last week alone. Interrupted,
    it leaves whole batches, and a second run finishes the rest. Raises InvalidParameter where it is not clear whose
    calls they are, NotFound where the account has been deleted.
    """
    if number is None:
        number = await begin_import(database, account_id, path.name)
    found = make_id(IMPORT, account_id, number)
    try:
        staged = await _stage(database, account_id, number, path, format, options, device, progress)
    except FileRefused as refusal:
        detail = refusal.detail
        await database.write(lambda c: _end(c, account_id, number, "refused", detail), account_id)
        return await database.read(lambda c: find_import(c, account_id, found))
    except (Exception, asyncio.CancelledError) as error:
        await _give_up(database, account_id, number, error)
        raise
    try:
        await _store(database, account_id, number, staged, device, progress, tell_all)
        damage = "; ".join(staged.damages)
        await database.write(lambda c: _end(c, account_id, number, "done", damage), account_id)
    except (Exception, asyncio.CancelledError) as error:
        await _give_up(database, account_id, number, error)
        raise
    finally:
        staged.close()
    return await database.read(lambda c: find_import(c, account_id, found))


async def _give_up(database: Database, account_id: int, number: int, error: BaseException) -> None:
    """Note that an import ended early. Where the database is what failed, its silence will tell."""
    detail = error.detail if isinstance(error, RingbackError) else ""
    state = "refused" if isinstance(error, InvalidParameter) else "interrupted"
    ending = database.write(lambda c: _end(c, account_id, number, state, detail), account_id)
    await asyncio.wait((asyncio.ensure_future(ending),), timeout=SIGN_MS / 1_000)


async def _stage(
    database: Database,
    account_id: int,
    number: int,
    path: Path,
    format: str | None,
    options: Options,
    device: str,
    progress: Progress | None,
) -> StagedFile:
    """Read the file in a thread, with a sign of life now and then."""
    stopped = threading.Event()

    def read() -> StagedFile:
        size = path.stat().st_size if path.is_file() else 0

        def on_read(position: int) -> None:
            if stopped.is_set():
                raise Stopped
            if progress:
                progress("reading", position, size)

        return StagedFile(path, format, options, on_read, device)

    reading = asyncio.get_running_loop().run_in_executor(None, read)
    try:
        while not (await asyncio.wait((reading,), timeout=SIGN_MS / 1_000))[0]:
            await database.write(lambda c: _touch(c, account_id, number, Counter()), account_id)
    except BaseException:
        stopped.set()
        await asyncio.wait((reading,))
        if not reading.exception():
            reading.result().close()
        raise
    return reading.result()


async def _store(
    database: Database,
    account_id: int,
    number: int,
    staged: StagedFile,
    device: str,
    progress: Progress | None,
    tell_all: bool,
) -> None:
    """Store a file's rows in whole batches, and count in each batch's transaction what became of them."""
    names = await _in_thread(lambda: staged.devices)

    async def prepare(connection: Connection) -> dict[str, int]:
        await connection.execute(
            "update imports set readable = $3, format = $4, warning = $5 where account_id = $1 and id = $2",
            account_id, number, staged.count, ", ".join(staged.formats), "; ".join(staged.warnings) or None,
        )  # fmt: skip
        own = await import_device_name(connection, account_id, device) if "" in names else ""
        return {name: (await import_device(connection, account_id, name or own)).number for name in sorted(names)}

    devices = await database.write(prepare, account_id)
    rows, done = staged.reports(), 0
    # In a thread: the first row waits for the sorting of all.
    while batch := await _in_thread(lambda: list(islice(rows, ROWS_PER_COMMIT))):
        await _store_batch(database, account_id, number, devices, batch, 0, tell_all)
        if any(done < size <= done + len(batch) for size in ANALYZE_AFTER):
            await database.analyze()
        done += len(batch)
        if progress:
            progress("storing", done, staged.count)
        await asyncio.sleep(PAUSE_SECONDS)
    more = staged.rejected_count - len(staged.rejected)
    await _store_batch(database, account_id, number, devices, staged.rejected, more, tell_all)


async def _in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread; who is interrupted still waits for its end, since it uses what is closed then."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait((task,))


async def _store_batch(
    database: Database,
    account_id: int,
    number: int,
    devices: dict[str, int],
    batch: list[Any],
    rejected: int,
    tell_all: bool,
) -> None:
    """Store rows, each with the name of its phone; `rejected` more are counted and not kept."""
    batch.sort(key=lambda row: devices[row[0]])

    async def store(connection: Connection) -> None:
        counts = Counter({"rejected": rejected})
        for name, rows in groupby(batch, lambda row: row[0]):
            reports = [report for _, report in rows]
            results = await take_in(connection, account_id, devices[name], reports, now_ms(), number, tell_all=tell_all)
            counts.update(result.status for result in results)
        await _touch(connection, account_id, number, counts)

    await database.write(store, account_id)


async def _begin(connection: Connection, account_id: int, name: str) -> int:
    number = await next_number(connection, account_id, "last_import")
    shown = name.encode("utf-8", "replace").decode().replace("\0", "")[:LONGEST_NAME]
    await connection.execute(
        "insert into imports (account_id, id, name, state, started_ms, touched_ms) values ($1, $2, $3, $4, $5, $5)",
        account_id, number, shown, "running", now_ms(),
    )  # fmt: skip
    return number


async def _touch(connection: Connection, account_id: int, number: int, counts: Counter[str]) -> None:
    added = ", ".join(f"{name} = {name} + ${place}" for place, name in enumerate(STATUSES, 4))
    await connection.execute(
        f"update imports set touched_ms = $3, {added} where account_id = $1 and id = $2",
        account_id, number, now_ms(), *(counts[name] for name in STATUSES),
    )  # fmt: skip


async def _end(connection: Connection, account_id: int, number: int, state: str, damage: str) -> None:
    await connection.execute(
        "update imports set state = $3, damage = $4, touched_ms = $5 where account_id = $1 and id = $2",
        account_id, number, state, damage or None, now_ms(),
    )  # fmt: skip


_COLUMNS: Final = f"id, name, format, state, started_ms, touched_ms, readable, {', '.join(STATUSES)}, damage, warning"


def _import(account_id: int, row: Any) -> Import:
    id, name, format, state, started_ms, touched_ms, *more = row
    if state == "running" and touched_ms < now_ms() - SILENT_MS:
        state = "interrupted"
    return Import(make_id(IMPORT, account_id, id), name, format, state, rfc3339(started_ms), started_ms, *more)


async def list_imports(connection: Connection, account_id: int, limit: int = 1_000) -> list[Import]:
    """What became of the account's files, newest first."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from imports where account_id = $1 order by id desc limit $2", account_id, limit
    )
    return [_import(account_id, row) for row in rows]


async def find_import_and_rejected(
    connection: Connection, account_id: int, id: str, limit: int
) -> tuple[Import, list[Rejected]]:
    """What became of one file, and the first rows of it that were rejected. Raises NotFound."""
    found, place = await find_import(connection, account_id, id), read_id(IMPORT, id)
    return found, await list_rejected(connection, account_id, None, 0, limit, place[1] if place else 0)


async def find_import(connection: Connection, account_id: int, id: str) -> Import:
    """What became of one file. Raises NotFound."""
    place = read_id(IMPORT, id)
    row = None
    if place and place[0] == account_id:
        row = await connection.fetch_one(f"select {_COLUMNS} from imports where account_id = $1 and id = $2", *place)
    if row is None:
        raise NotFound("There is no such import; `ringback imports` lists them.")
    return _import(account_id, row)
