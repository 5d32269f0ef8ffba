"""Accounts: each has its own keys, phones and calls."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Final

import msgspec

from ringback.db import Connection, Row
from ringback.errors import ApiExpired, Conflict, InvalidParameter, NotFound
from ringback.text import is_storable, trim
from ringback.times import now_ms, parse_day, today, zone

LONGEST_NAME: Final = 100

COLUMNS: Final = "a.id, a.name, a.email, a.date_limit, a.time_zone, a.created_ms, a.language"


class Account(msgspec.Struct, frozen=True):
    """An account; `date_limit` is its last valid day (UTC)."""

    id: int
    name: str
    email: str | None
    date_limit: date | None
    time_zone: str
    created_ms: int
    language: str | None


def account_from(row: Row) -> Account:
    """The account of a row of COLUMNS."""
    id, name, email, date_limit, time_zone, created_ms, language = row[:7]
    until = date.fromisoformat(date_limit) if date_limit else None
    return Account(id, name, email, until, time_zone, created_ms, language)


def check_name(text: str, what: str) -> str:
    """A name as it is kept, trimmed. Raises InvalidParameter where it is empty, too long or has control characters."""
    name = trim(text)
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidParameter(f"{what} must have 1 to {LONGEST_NAME} characters.")
    if not is_storable(name) or any(unicodedata.category(c) == "Cc" for c in name):
        raise InvalidParameter(f"{what} must have no control characters and be valid Unicode.")
    return name


def check_until(text: str) -> str:
    """The last valid day as it is kept. Raises InvalidParameter."""
    if parse_day(trim(text)) is None:
        raise InvalidParameter("--until must be a day of the calendar, as YYYY-MM-DD.")
    return trim(text)


async def create_account(
    connection: Connection, name: str, *, email: str | None = None, until: str | None = None, time_zone: str = "UTC"
) -> Account:
    """A new account. Raises InvalidParameter, and Conflict where the name is taken."""
    name = check_name(name, "An account's name")
    email = check_name(email, "An account's e-mail address") if email else None
    until = check_until(until) if until else None
    zone(time_zone)
    # The row stays locked until the commit, and with it the names of accounts.
    row = await connection.fetch_one("update installation set last_account = last_account + 1 returning last_account")
    assert row is not None
    if await connection.fetch_one("select 1 from accounts where name = $1", name):
        raise Conflict("There is an account of that name already; choose another name.")
    await connection.execute(
        "insert into accounts (id, name, email, date_limit, time_zone, created_ms) values ($1, $2, $3, $4, $5, $6)",
        row[0], name, email, until, time_zone, now_ms(),
    )  # fmt: skip
    return await find_account(connection, name)


async def find_account(connection: Connection, name: str) -> Account:
    """The account of a name. Raises NotFound."""
    row = None
    if is_storable(name):
        row = await connection.fetch_one(f"select {COLUMNS} from accounts a where a.name = $1", trim(name))
    if row is None:
        raise NotFound("There is no account of that name; `ringback account list` shows them all.")
    return account_from(row)


async def list_accounts(connection: Connection) -> list[Account]:
    """All accounts, in the order of their making."""
    return [account_from(row) for row in await connection.fetch(f"select {COLUMNS} from accounts a order by a.id")]


async def set_until(connection: Connection, account_id: int, until: str | None) -> None:
    """Set the account's last valid day (UTC); None for no end."""
    await connection.execute(
        "update accounts set date_limit = $2 where id = $1", account_id, check_until(until) if until else None
    )


async def change_account(
    connection: Connection, account_id: int, name: str, time_zone: str, language: str | None
) -> None:
    """Give an account another name, time zone and language. Raises InvalidParameter, Conflict for a taken name."""
    name = check_name(name, "An account's name")
    zone(time_zone)
    # The lock of the names, as where accounts are made.
    await connection.fetch("select 1 from installation" + connection.for_update)
    if await connection.fetch_one("select 1 from accounts where name = $1 and id <> $2", name, account_id):
        raise Conflict("There is an account of that name already; choose another name.")
    await connection.execute(
        "update accounts set name = $2, time_zone = $3, language = $4 where id = $1",
        account_id, name, time_zone, language,
    )  # fmt: skip


async def delete_account(connection: Connection, account_id: int) -> None:
    """Delete the account and all that is its own, people who belong to no other account too."""
    tables = (
        "attempts", "deliveries", "webhooks", "events", "gaps", "pairing_codes", "quarters", "rejected", "imports",
        "tombstones", "calls", "parties", "devices", "keys", "sessions", "links", "members",
    )  # fmt: skip
    for table in tables:
        await connection.execute(f"delete from {table} where account_id = $1", account_id)
    await connection.execute("delete from sessions where person_id not in (select person_id from members)")
    await connection.execute("delete from people where id not in (select person_id from members)")
    await connection.execute("delete from accounts where id = $1", account_id)


async def lock_account(connection: Connection, account_id: int) -> None:
    """Keep the account's row locked until the commit. Raises NotFound.

    Whoever writes more than one row of an account locks it before any other: in another order, two processes would wait
    for each other.
    """
    row = await connection.fetch_one(f"select 1 from accounts where id = $1{connection.for_update}", account_id)
    if row is None:
        raise NotFound("The account has been deleted.")


async def next_number(connection: Connection, account_id: int, counter: str) -> int:
    """The next number of one of the account's counters; its row stays locked until the commit. Raises NotFound."""
    row = await connection.fetch_one(
        f"update accounts set {counter} = {counter} + 1 where id = $1 returning {counter}", account_id
    )
    if row is None:
        raise NotFound("The account has been deleted.")
    number: int = row[0]
    return number


def check_not_expired(account: Account) -> None:
    """Raise ApiExpired after the account's last valid day (UTC)."""
    if account.date_limit is not None and account.date_limit < today():
        raise ApiExpired("The account's last valid day is over; ask whoever runs the server for a new one.")
