"""SQLite through apsw: short reads on the event loop, long ones in a thread, all writes in one thread."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import apsw

from ringback.db import Row, T, Work
from ringback.db.migrate import check_not_newer, migrate, newest_version, schema_version
from ringback.errors import Conflict, RingbackError, Unavailable

TYPES: Final = {"text": "text", "bytes": "blob", "clustered": " without rowid"}

BUSY_SECONDS: Final = 30
"""How long a write waits for another process's write to end."""

LOOK_SECONDS: Final = 0.001
"""How often it looks. SQLite's own back-off grows to 100 ms and starves who waits beside a busy import."""

WRITES_PER_COMMIT: Final = 64
CACHE_KB: Final = 64_000
LONG_READ_CACHE_KB: Final = 16_000
"""Long reads walk the file once; what they read again lies in the system's cache."""

LONG_READERS: Final = 2

LISTEN_SECONDS: Final = 0.05
"""How often it is looked whether another process has committed; that costs 0.4 % of a core."""


@lru_cache(maxsize=1_000)
def _positional(sql: str) -> str:
    """`$1` as `?1`: to SQLite `$1` is a name, bound in the order of appearance."""
    return re.sub(r"\$(\d+)", r"?\1", sql)


def _wait_for_turn(looks: int) -> bool:
    """Whether to look again if another process still writes."""
    time.sleep(LOOK_SECONDS)
    return looks * LOOK_SECONDS < BUSY_SECONDS


class SqliteConnection:
    """A Connection of one thread. Its coroutines never wait, so `_finish` can run them to their end."""

    for_update = ""

    announced = False
    """Whether somebody is to be woken after the commit."""

    def __init__(self, path: str, cache_kb: int = CACHE_KB) -> None:
        self.handle = apsw.Connection(path)
        self.handle.set_busy_handler(_wait_for_turn)
        for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", f"cache_size=-{cache_kb}"):
            self.handle.execute(f"pragma {pragma}").fetchall()

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """See Connection."""
        return cast("list[Row]", self.handle.execute(_positional(sql), values).fetchall())

    async def fetch_one(self, sql: str, *values: Any) -> Row | None:
        """See Connection."""
        return cast("Row | None", self.handle.execute(_positional(sql), values).fetchone())

    async def fetch_many(self, sql: str, rows: Iterable[Row]) -> list[Row]:
        """See Connection."""
        return cast("list[Row]", self.handle.executemany(_positional(sql), rows).fetchall())

    async def execute(self, sql: str, *values: Any) -> None:
        """See Connection."""
        self.handle.execute(_positional(sql), values)

    async def execute_many(self, sql: str, rows: Iterable[Row]) -> None:
        """See Connection."""
        self.handle.executemany(_positional(sql), rows)

    def announce(self) -> None:
        """See Connection."""
        self.announced = True


class _Job(NamedTuple):
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class SqliteDatabase:
    """A Database in one file. Several processes may open the same file; each has one writing thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _identity(path)
        self._reader = SqliteConnection(str(path))
        self._long = ThreadPoolExecutor(LONG_READERS, thread_name_prefix="ringback-read")
        self._thread = threading.local()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._listeners: dict[object, tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = {}
        self._writer = threading.Thread(target=self._write_loop, name="ringback-write", daemon=True)
        self._writer.start()

    async def read(self, work: Work[T]) -> T:
        """See Database. Runs on the event loop: a hop to another thread would cost more than the query."""
        try:
            return await work(self._reader)
        except apsw.Error as error:
            raise _for_people(error) from error

    async def read_long(self, work: Work[T]) -> T:
        """See Database."""

        def in_thread() -> T:
            if not hasattr(self._thread, "connection"):
                self._thread.connection = SqliteConnection(str(self._path), LONG_READ_CACHE_KB)
            return _finish(work(self._thread.connection))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._long, in_thread)
        except apsw.Error as error:
            raise _for_people(error) from error

    async def write(self, work: Work[T], account_id: int | None = None) -> T:
        """See Database. Whatever arrives together shares a commit, whosever it is."""
        del account_id
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        self._jobs.put(job)
        return cast("T", await job.done)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See Database. Commits of other processes are heard of within LISTEN_SECONDS."""
        key = object()
        loop = asyncio.get_running_loop()
        self._listeners[key] = loop, wake
        watch = loop.create_task(self._watch(wake))

        def end() -> None:
            del self._listeners[key]
            watch.cancel()

        return end

    async def _watch(self, wake: Callable[[], None]) -> None:
        seen = None
        while True:
            with suppress(apsw.Error):
                version = self._reader.handle.pragma("data_version")
                if version != seen:
                    seen = version
                    wake()
            await asyncio.sleep(LISTEN_SECONDS)

    async def analyze(self) -> None:
        """See Database. Our statements leave SQLite's planner no choice that statistics could make better."""

    async def check(self) -> None:
        """See Database."""
        if _identity(self._path) != self._file:
            raise Unavailable("The database file was moved or replaced; restart the server.")
        if await self.read(schema_version) != newest_version():
            raise Unavailable("The database is of another version than this program; restart the server.")

    async def close(self) -> None:
        """See Database."""
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
        self._long.shutdown()
        self._reader.handle.close()

    def _write_loop(self) -> None:
        connection = SqliteConnection(str(self._path))
        with closing(connection.handle):
            while jobs := self._next_jobs():
                _commit_together(connection, jobs)
                if connection.announced:
                    connection.announced = False
                    self._wake_all()

    def _wake_all(self) -> None:
        for loop, wake in list(self._listeners.values()):
            with suppress(RuntimeError):  # a loop that has ended has nobody left to wake
                loop.call_soon_threadsafe(wake)

    def _next_jobs(self) -> list[_Job]:
        """Wait for work, then take all that waits beside it; none at the end."""
        jobs = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == WRITES_PER_COMMIT or self._jobs.empty():
                return jobs
            job = self._jobs.get()
        if jobs:
            self._jobs.put(None)
        return jobs


def _commit_together(connection: SqliteConnection, jobs: list[_Job]) -> None:
    """Run the jobs in one transaction; answer each when the commit is on the disk, and not before."""
    handle = connection.handle
    try:
        handle.execute("begin immediate")
        outcomes = [_in_savepoint(connection, job) for job in jobs]
        handle.execute("commit")
    except Exception as error:
        outcomes = [error] * len(jobs)
        with suppress(apsw.Error):  # on a failing disk this fails too; the next `begin` says so then
            if handle.in_transaction:
                handle.execute("rollback")
    for job, outcome in zip(jobs, outcomes, strict=True):
        with suppress(RuntimeError):  # a loop that has ended has nobody left to tell
            job.loop.call_soon_threadsafe(_answer, job.done, outcome)


def _in_savepoint(connection: SqliteConnection, job: _Job) -> Any:
    """The result of the work, or the error with which it undid its own work alone."""
    handle = connection.handle
    handle.execute("savepoint work")
    try:
        outcome = _finish(job.work(connection))
    except Exception as error:
        if not handle.in_transaction:
            raise  # a full disk or an I/O error ended the whole transaction, the others' work too
        handle.execute("rollback to work")
        outcome = error
    handle.execute("release work")
    return outcome


def _answer(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # cancelled: who asked has gone
        return
    if isinstance(outcome, Exception):
        done.set_exception(_for_people(outcome) if isinstance(outcome, apsw.Error) else outcome)
    else:
        done.set_result(outcome)


def _finish(work: Awaitable[T]) -> T:
    """Run a coroutine to its end that waits for nothing but a SqliteConnection."""
    try:
        cast("Coroutine[Any, Any, T]", work).send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise RuntimeError("work on a connection may wait for nothing else")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _for_people(error: apsw.Error) -> Exception:
    """What to tell people of a database that can't be used; other errors are the program's own and stay."""
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return Unavailable("Another process keeps the database busy; try again.", retry_after=5)
        case apsw.FullError():
            return Unavailable("The disk of the database is full; make room and try again.", retry_after=60)
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            return Unavailable(
                "The database can't be written; check the permissions of its file and folder.", retry_after=60
            )
        case apsw.IOError():
            return Unavailable("The disk of the database reports an error; check the disk.", retry_after=60)
        case apsw.NotADBError() | apsw.CorruptError():
            return Unavailable("The database file is damaged or no database; restore a backup.", retry_after=60)
    return error


async def open_sqlite(path: str) -> SqliteDatabase:
    """Open or make the database file and bring its schema up to date. Raises Unavailable or Conflict."""
    file = Path(path)
    try:
        _make_file(file)
        await _bring_up_to_date(SqliteConnection(str(file)), file)
        return SqliteDatabase(file)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise Unavailable(f"{file} is no database of Ringback; name another file.") from error
    except (OSError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise Unavailable(
            f"The database {file} can't be opened for writing; check the permissions of it and its folder."
        ) from error
    except apsw.Error as error:
        raise _for_people(error) from error


def _make_file(file: Path) -> None:
    if file.is_dir():
        raise Unavailable(f"The database's path {file} is a folder; name a file in it.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)  # calls are for nobody else; SQLite gives its other files the same mode
    os.close(os.open(file, os.O_RDWR))  # SQLite would open what it may not write without a word


async def _bring_up_to_date(connection: SqliteConnection, file: Path) -> None:
    with closing(connection.handle) as handle:
        tables = {row[0] for row in await connection.fetch("select name from sqlite_schema where type = 'table'")}
        if tables and "schema_versions" not in tables:
            raise Conflict(f"{file} is a database of another program; name another file.")
        if tables:
            version = await schema_version(connection)
            check_not_newer(version)
            if version == newest_version():
                return
        handle.execute("begin immediate")
        try:
            await migrate(connection, TYPES)
        except RingbackError:
            handle.execute("rollback")
            raise
        handle.execute("commit")
