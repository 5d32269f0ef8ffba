"""What the log held at the last read and what the server has answered for, in one SQLite file.

A row is written here before it is sent, and counts as sent only when the server has answered for it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .calllog import Row
from .trouble import Trouble

FILE = "outbox.db"

WAITING, HELD, REJECTED, WITHHELD = "waiting", "held", "rejected", "withheld"
ANSWERS = {"created": HELD, "updated": HELD, "duplicate": HELD, "withheld": WITHHELD, "rejected": REJECTED}
"""What each of the server's results makes of a row."""

_SCHEMA = """
create table if not exists rows (
    identity text primary key, second integer not null, digest text not null, report text not null, state text not null
);
create index if not exists rows_by_state on rows (state, second, identity);
create table if not exists notes (name text primary key, value text not null);
"""

_NOT_ITS_FAULT = ("locked", "full", "unable to open", "disk I/O", "readonly", "out of memory")
"""What SQLite says where the file is not damaged."""


class Waiting(NamedTuple):
    """A report that waits to be sent."""

    identity: str
    digest: str
    report: str


class Outbox:
    """The outbox file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def note(self, **values: Any) -> None:
        """Keep values for later runs, all or none."""
        with self._connection as connection:
            rows = [(name, json.dumps(value)) for name, value in values.items()]
            connection.executemany("insert or replace into notes values (?, ?)", rows)

    def noted(self, name: str, default: Any = None) -> Any:
        """A value that was kept."""
        row = self._connection.execute("select value from notes where name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else default

    def count(self, state: str = WAITING) -> int:
        """How many rows are in a state."""
        return int(self._connection.execute("select count(*) from rows where state = ?", (state,)).fetchone()[0])

    def keep(self, rows: list[Row]) -> None:
        """Take a read of the whole log in: what is new or told otherwise waits; what has left it and was sent goes."""
        known = {one: (digest, state) for one, digest, state in self._all()}
        changed, now = [], set()
        for row in rows:
            now.add(row.identity)
            digest = report_digest(row.report)
            if known.get(row.identity, ("", ""))[0] != digest:
                second = row.seconds[0] if row.seconds else 0
                changed.append((row.identity, second, digest, json.dumps(row.report), WAITING))
        gone = [(one,) for one, (_, state) in known.items() if one not in now and state != WAITING]
        with self._connection as connection:
            connection.executemany("insert or replace into rows values (?, ?, ?, ?, ?)", changed)
            connection.executemany("delete from rows where identity = ?", gone)

    def _all(self) -> list[Any]:
        return self._connection.execute("select identity, digest, state from rows").fetchall()

    def states(self) -> dict[str, str]:
        """The state of each row by its identity."""
        return {one: state for one, _, state in self._all()}

    def next(self, limit: int) -> list[Waiting]:
        """The oldest reports that wait."""
        sql = "select identity, digest, report from rows where state = ? order by second, identity limit ?"
        return [Waiting(*row) for row in self._connection.execute(sql, (WAITING, limit))]

    def answer(self, batch: list[Waiting], statuses: list[str]) -> None:
        """Note what the server has answered for the reports of a batch."""
        rows = [(ANSWERS[status], one.identity, one.digest) for one, status in zip(batch, statuses)]
        with self._connection as connection:
            connection.executemany("update rows set state = ? where identity = ? and digest = ?", rows)

    def send_again(self, identities: Iterable[str]) -> None:
        """Let rows wait to be sent once more."""
        with self._connection as connection:
            connection.executemany(
                "update rows set state = ? where identity = ?", [(WAITING, one) for one in identities]
            )

    def send_rejected_again(self) -> None:
        """Let the rows that the server rejected wait once more: a newer one may know better."""
        with self._connection as connection:
            connection.execute("update rows set state = ? where state = ?", (WAITING, REJECTED))

    def send_everything_again(self) -> None:
        """After pairing: what another server, or this one, was sent before counts for nothing."""
        with self._connection as connection:
            connection.execute("update rows set state = ?", (WAITING,))
            connection.execute("delete from notes")


def report_digest(report: dict[str, Any]) -> str:
    """Tells a report that says something new; not by the zone's offset, which changes with every journey."""
    told = {field: value for field, value in report.items() if field != "tz_offset_min"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def open_outbox(home: Path) -> Iterator[Outbox]:
    """The outbox; a damaged one is set aside and made anew, and the next read fills it from the log. Raises Trouble."""
    file = home / FILE
    try:
        try:
            connection = _connect(file)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            _set_aside(file, error)
            connection = _connect(file)
        try:
            yield Outbox(connection)
        finally:
            connection.close()
    except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError) as error:
        _set_aside(file, error)
        raise Trouble("The outbox was damaged and is made anew; run `sync` again.") from error


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(str(file), timeout=5)
    try:
        connection.executescript(_SCHEMA)
        if connection.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        connection.execute("select identity, second, digest, report, state from rows limit 0")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_aside(file: Path, error: Exception) -> None:
    """Move a damaged file out of the way. Raises Trouble where it is the phone that refuses."""
    if any(words in str(error) for words in _NOT_ITS_FAULT):
        raise Trouble(f"The outbox can't be used ({error}); make room on the phone.") from error
    for suffix in ("", "-journal"):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(file.with_name(f"{file.name}{suffix}.damaged"))
    print(f"{FILE} was damaged; it is set aside and made anew from the phone's call log.", file=sys.stderr)
