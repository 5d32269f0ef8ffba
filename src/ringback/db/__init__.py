"""The one room that knows SQLite from PostgreSQL: connections, transactions, migrations.

All other code writes SQL in their common subset, with `$1` placeholders, in functions that take the connection first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from ringback.errors import InvalidParameter

T = TypeVar("T")
Row = Sequence[Any]


class Connection(Protocol):
    """What SQL runs on. It must not be kept beyond the function that it was given to."""

    for_update: str
    """Ends a SELECT whose row stays locked until the commit (SQLite locks the whole file anyway)."""

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """All rows of a query."""

    async def fetch_one(self, sql: str, *values: Any) -> Row | None:
        """The first row of a query, None where there is none."""

    async def fetch_many(self, sql: str, rows: Iterable[Row]) -> list[Row]:
        """The rows that one statement gives for each row of values, in one round trip."""

    async def execute(self, sql: str, *values: Any) -> None:
        """Run one statement; without values, several."""

    async def execute_many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run one statement for each row of values."""

    def announce(self) -> None:
        """Wake those who listen to the database, in every process, when this transaction is committed."""


Work = Callable[[Connection], Awaitable[T]]


class Database(Protocol):
    """An open database of this program's schema. Its methods raise Unavailable where it can't be used now."""

    async def read(self, work: Work[T]) -> T:
        """Run a function that only reads and is known to be short (well under a millisecond on SQLite)."""

    async def read_long(self, work: Work[T]) -> T:
        """Run a function that only reads and may take long: it holds back no short one."""

    async def write(self, work: Work[T], account_id: int | None = None) -> T:
        """Run a function in a transaction; when this returns, what it wrote is on the disk.

        Writes to one account that arrive together share a commit, each in a savepoint of its own.
        """

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each commit that was announced, and perhaps more often; returns what ends that.

        It may come late or, while the database is away, not at all: who listens also looks from time to time.
        """

    async def analyze(self) -> None:
        """Tell the planner of what has been written, where the engine does not notice by itself in time."""

    async def check(self) -> None:
        """Raise Unavailable where the database doesn't answer, isn't of this schema or isn't where it was."""

    async def close(self) -> None:
        """Finish what is under way and close."""


async def open_database(url: str) -> Database:
    """Open the database at `sqlite:///path` or `postgresql://...` and bring its schema up to date.

    Raises InvalidParameter for another kind of address, Unavailable where it can't be used, Conflict where a newer
    program or another one made it.
    """
    if url.startswith("sqlite:///"):
        from ringback.db.sqlite import open_sqlite

        return await open_sqlite(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from ringback.db.postgresql import open_postgresql

        return await open_postgresql(url)
    raise InvalidParameter("The database's address must begin with sqlite:/// or postgresql://.")
