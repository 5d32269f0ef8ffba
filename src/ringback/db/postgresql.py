"""PostgreSQL through asyncpg: a pool of connections; writes to one account share transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, cast

import asyncpg

from ringback.db import Row, T, Work
from ringback.db.migrate import migrate, newest_version, schema_version
from ringback.errors import Unavailable

TYPES: Final = {"text": 'text collate "C"', "bytes": "bytea", "clustered": ""}

POOL_SIZE: Final = 10
CONNECT_SECONDS: Final = 10
WRITES_PER_COMMIT: Final = 64

CHANNEL: Final = "ringback"
TELL_SECONDS: Final = 0.01
"""How long announcements are gathered: each NOTIFY takes a lock that all others wait for."""

LISTEN_AGAIN_SECONDS: Final = 1

MIGRATION_LOCK: Final = 7_464_225_642
"""The advisory lock under which migrations run: any number that nothing else in the database uses."""

_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    asyncpg.InsufficientPrivilegeError,
)
_AWAY: Final = (
    *_REFUSED,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that the server is just ending
    asyncpg.TooManyConnectionsError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # a database that takes no connections now
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,  # a deadlock with another process, which one of the two has to give up
)


class PostgresqlConnection:
    """A Connection over one of the pool's."""

    for_update = " for update"

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.announced = False
        """Whether somebody is to be woken after the commit."""

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """See Connection."""
        return cast("list[Row]", await self.handle.fetch(sql, *values))

    async def fetch_one(self, sql: str, *values: Any) -> Row | None:
        """See Connection."""
        return cast("Row | None", await self.handle.fetchrow(sql, *values))

    async def fetch_many(self, sql: str, rows: Iterable[Row]) -> list[Row]:
        """See Connection."""
        return cast("list[Row]", await self._to_its_end(self.handle.fetchmany(sql, rows)))

    async def execute(self, sql: str, *values: Any) -> None:
        """See Connection."""
        await self.handle.execute(sql, *values)

    async def execute_many(self, sql: str, rows: Iterable[Row]) -> None:
        """See Connection."""
        await self._to_its_end(self.handle.executemany(sql, rows))

    def announce(self) -> None:
        """See Connection."""
        self.announced = True

    @staticmethod
    async def _to_its_end(work: Any) -> Any:
        """Work that is cancelled still waits for its end: asyncpg hangs where many rows are cut off in the middle."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        finally:
            await asyncio.wait((task,))


class _Job(NamedTuple):
    work: Work[Any]
    done: asyncio.Future[Any]


class PostgresqlDatabase:
    """A Database on a PostgreSQL server."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._waiting: dict[int, list[_Job]] = {}
        self._writers: set[asyncio.Task[None]] = set()
        self._listeners: dict[object, Callable[[], None]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    async def read(self, work: Work[T]) -> T:
        """See Database."""
        async with _reachable(), self._pool.acquire() as handle:
            return await work(PostgresqlConnection(handle))

    read_long = read

    async def write(self, work: Work[T], account_id: int | None = None) -> T:
        """See Database."""
        if account_id is None:
            return cast("T", await self._transaction(work))
        job = _Job(work, asyncio.get_running_loop().create_future())
        if account_id in self._waiting:
            self._waiting[account_id].append(job)
        else:
            self._waiting[account_id] = [job]
            task = asyncio.create_task(self._write_account(account_id))
            self._writers.add(task)
            task.add_done_callback(self._writers.discard)
        return cast("T", await job.done)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See Database."""
        key = object()
        self._listeners[key] = wake
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

        def end() -> None:
            del self._listeners[key]

        return end

    async def _listen(self) -> None:
        """Hear what other processes announce, on a connection of its own, for as long as the database is open."""
        while True:
            with suppress(Unavailable):
                async with _reachable(), self._pool.acquire() as handle:
                    await self._listen_on(handle)
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _listen_on(self, handle: Any) -> None:
        """Listen until the connection ends."""
        ended = asyncio.Event()
        handle.add_termination_listener(lambda _: ended.set())
        await handle.add_listener(CHANNEL, self._wake_all)
        self._wake_all()
        try:
            await ended.wait()
        finally:
            if not handle.is_closed():
                await handle.remove_listener(CHANNEL, self._wake_all)

    def _wake_all(self, *_: Any) -> None:
        for wake in list(self._listeners.values()):
            wake()

    async def _tell(self) -> None:
        await asyncio.sleep(TELL_SECONDS)
        self._telling = None
        with suppress(Unavailable):  # who listens looks from time to time, too
            async with _reachable(), self._pool.acquire() as handle:
                await handle.execute(f"notify {CHANNEL}")

    async def analyze(self) -> None:
        """See Database. Autovacuum comes after a minute only; until then an import of a million rows plans badly."""
        async with _reachable(), self._pool.acquire() as handle:
            await handle.execute("analyze")

    async def check(self) -> None:
        """See Database."""
        if await self.read(schema_version) != newest_version():
            raise Unavailable("The database is of another version than this program; restart the server.")

    async def close(self) -> None:
        """See Database."""
        if self._writers:
            await asyncio.wait(self._writers)
        if self._telling:
            await self._telling
        if self._listening:
            self._listening.cancel()
            await asyncio.wait((self._listening,))
        await self._pool.close()

    async def _write_account(self, account_id: int) -> None:
        """Commit what waits for the account, until nothing waits any more."""
        while jobs := self._waiting[account_id][:WRITES_PER_COMMIT]:
            del self._waiting[account_id][: len(jobs)]
            try:
                outcomes = await self._transaction(lambda connection, jobs=jobs: _in_savepoints(connection, jobs))
            except Exception as error:
                outcomes = [error] * len(jobs)
            for job, outcome in zip(jobs, outcomes, strict=True):
                _answer(job.done, outcome)
        del self._waiting[account_id]

    async def _transaction(self, work: Any) -> Any:
        async with _reachable(), self._pool.acquire() as handle:
            connection = PostgresqlConnection(handle)
            async with handle.transaction():
                result = await work(connection)
        if connection.announced:
            self._wake_all()
            self._telling = self._telling or asyncio.create_task(self._tell())
        return result


async def _in_savepoints(connection: PostgresqlConnection, jobs: list[_Job]) -> list[Any]:
    """The results of the jobs, or the errors with which each undid its own work alone."""
    if len(jobs) == 1:  # its savepoint would be the whole transaction
        return [await jobs[0].work(connection)]
    outcomes = []
    for job in jobs:
        try:
            async with connection.handle.transaction():
                outcomes.append(await job.work(connection))
        except Exception as error:
            if connection.handle.is_closed():
                raise
            outcomes.append(error)
    return outcomes


def _answer(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # cancelled: who asked has gone
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    """A server that is away, full or stopping is Unavailable."""
    try:
        yield
    except _AWAY as error:
        if isinstance(error, ValueError):  # a value that asyncpg refuses is a fault of ours
            raise
        raise Unavailable("The database can't be reached; try again.", retry_after=5) from error


async def _keep_session(handle: Any) -> None:
    """Nothing to reset between uses: our sessions keep nothing beyond a transaction."""


async def open_postgresql(url: str) -> PostgresqlDatabase:
    """Connect to the server and bring the database's schema up to date. Raises Unavailable or Conflict."""
    try:
        pool = asyncpg.create_pool(
            url, min_size=0, max_size=POOL_SIZE, timeout=CONNECT_SECONDS, reset=_keep_session,
            server_settings={"application_name": "ringback"},
        )  # fmt: skip
        await pool
        async with pool.acquire() as handle, handle.transaction():
            await handle.execute("select pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            await migrate(PostgresqlConnection(handle), TYPES)
    except _REFUSED as error:
        raise Unavailable(
            "PostgreSQL refuses the database's address; check its user, password, database and rights."
        ) from error
    except _AWAY as error:
        raise Unavailable(
            "PostgreSQL can't be reached at the database's address; is it running?", retry_after=5
        ) from error
    return PostgresqlDatabase(pool)
