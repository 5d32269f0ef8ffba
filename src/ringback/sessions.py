"""Sessions of people who signed in, and the tries of those who could not."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec

from ringback.accounts import COLUMNS, Account, account_from
from ringback.db import Connection
from ringback.errors import NotFound, RateLimited
from ringback.members import PERSON_COLUMNS, Person
from ringback.times import DAY_MS, now_ms
from ringback.tokens import hash_token

SESSION_MS: Final = 30 * DAY_MS
"""A session ends so long after its last request."""

UNVERIFIED_MS: Final = 10 * 60_000
"""How long the second factor may take."""

TOUCH_MS: Final = 5 * 60_000
"""How exact the moment of the last request is."""

TRIES_MS: Final = 15 * 60_000
MOST_OF_PERSON: Final = 5
MOST_OF_ADDRESS: Final = 20

LONGEST_BROWSER: Final = 200


class Session(msgspec.Struct, frozen=True):
    """A session, whose it is, and in which account with which role."""

    id: str
    verified: bool
    last_seen_ms: int
    role: str
    person: Person
    account: Account


class ShownSession(msgspec.Struct, frozen=True):
    """A session as its person sees it in a list."""

    id: str
    created_ms: int
    last_seen_ms: int
    browser: str
    address: str


async def create_session(
    connection: Connection, person_id: int, account_id: int, browser: str, address: str, *, verified: bool
) -> str:
    """The secret of a new session, which can't be read again; `verified`: nothing more is asked of the person."""
    secret, now = secrets.token_urlsafe(32), now_ms()
    await connection.execute("delete from sessions where last_seen_ms < $1", now - SESSION_MS)
    await connection.execute(
        "insert into sessions (hash, id, person_id, account_id, verified, created_ms, last_seen_ms, browser, address)"
        " values ($1, $2, $3, $4, $5, $6, $6, $7, $8)",
        hash_token(secret), secrets.token_urlsafe(9), person_id, account_id, int(verified), now,
        browser[:LONGEST_BROWSER], address,
    )  # fmt: skip
    return secret


async def find_session(connection: Connection, secret: str) -> Session | None:
    """The session of a secret; None where it has ended or its person has left the account."""
    row = await connection.fetch_one(
        f"select s.id, s.verified, s.last_seen_ms, m.role, {PERSON_COLUMNS}, {COLUMNS} from sessions s"
        " join people p on p.id = s.person_id join accounts a on a.id = s.account_id"
        " join members m on m.account_id = s.account_id and m.person_id = s.person_id where s.hash = $1",
        hash_token(secret),
    )
    if row is None:
        return None
    id, verified, last_seen_ms, role = row[:4]
    if last_seen_ms < now_ms() - (SESSION_MS if verified else UNVERIFIED_MS):
        return None
    return Session(id, bool(verified), last_seen_ms, role, Person(*row[4:11]), account_from(row[11:]))


async def touch_session(connection: Connection, id: str) -> None:
    """Note that a session is in use."""
    await connection.execute("update sessions set last_seen_ms = $2 where id = $1", id, now_ms())


async def switch_account(connection: Connection, id: str, person_id: int, account_id: int) -> None:
    """Let a session name another account of its person. Raises NotFound."""
    sql = "select 1 from members where account_id = $1 and person_id = $2"
    if not await connection.fetch_one(sql, account_id, person_id):
        raise NotFound("There is no such account.")
    await connection.execute("update sessions set account_id = $2 where id = $1", id, account_id)


async def list_sessions(connection: Connection, person_id: int) -> list[ShownSession]:
    """A person's sessions, the last used first."""
    rows = await connection.fetch(
        "select id, created_ms, last_seen_ms, browser, address from sessions where person_id = $1 and verified = 1"
        " and last_seen_ms > $2 order by last_seen_ms desc, id",
        person_id, now_ms() - SESSION_MS,
    )  # fmt: skip
    return [ShownSession(*row) for row in rows]


async def end_session(connection: Connection, person_id: int, id: str) -> None:
    """End one of a person's sessions; one that has ended already is no fault."""
    await connection.execute("delete from sessions where person_id = $1 and id = $2", person_id, id)


async def end_other_sessions(connection: Connection, person_id: int, id: str) -> None:
    """End all of a person's sessions but one."""
    await connection.execute("delete from sessions where person_id = $1 and id <> $2", person_id, id)


async def note_try(connection: Connection, email: str, address: str) -> None:
    """Count a try before it is judged, so that many at once can't pass. Raises RateLimited after too many."""
    now = now_ms()
    await connection.fetch("select 1 from installation" + connection.for_update)
    await connection.execute("delete from login_tries where at_ms <= $1", now - TRIES_MS)
    for subject, most in ((_subject(email), MOST_OF_PERSON), (_subject(address), MOST_OF_ADDRESS)):
        rows = await connection.fetch("select at_ms from login_tries where subject = $1 order by at_ms", subject)
        if len(rows) >= most:
            wait_ms = rows[-most][0] + TRIES_MS - now
            raise RateLimited("Too many failed logins; wait.", retry_after=max(1, -(-wait_ms // 1_000)))
    tries = [(_subject(email), now), (_subject(address), now)]
    await connection.execute_many("insert into login_tries (subject, at_ms) values ($1, $2)", tries)


async def forgive_tries(connection: Connection, email: str, address: str) -> None:
    """After a login that worked: the person's tries are forgotten, and the address's last one."""
    await connection.execute("delete from login_tries where subject = $1", _subject(email))
    await connection.execute(
        "delete from login_tries where subject = $1 and at_ms ="
        " (select max(at_ms) from login_tries where subject = $1)",
        _subject(address),
    )


def _subject(text: str) -> str:
    return hashlib.sha256(text.strip().lower().encode("utf-8", "replace")).hexdigest()
