"""People who sign in, and what they may do in which account."""

from __future__ import annotations

import re
import secrets
from typing import Final

import msgspec

from ringback.accounts import COLUMNS, Account, account_from
from ringback.db import Connection, Row
from ringback.errors import Conflict, Forbidden, InvalidParameter, NotFound
from ringback.text import is_storable, trim
from ringback.times import DAY_MS, now_ms
from ringback.tokens import hash_token

ROLES: Final = ("viewer", "member", "manager", "owner")
"""Each may do what the ones before it may: read; import; phones, keys and webhooks; members, plan and deletion."""

SETUP, INVITE, RESET, LOGIN = "setup", "invite", "reset", "login"
"""What links are for; they stand in the database."""

LINK_MS: Final = {SETUP: DAY_MS, INVITE: 7 * DAY_MS, RESET: DAY_MS // 24, LOGIN: DAY_MS}

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")
LONGEST_EMAIL: Final = 254


class Person(msgspec.Struct, frozen=True):
    """Somebody who signs in."""

    id: int
    email: str
    password_hash: str
    totp_secret: str | None
    totp_step: int | None
    language: str | None
    theme: str | None


PERSON_COLUMNS: Final = "p.id, p.email, p.password_hash, p.totp_secret, p.totp_step, p.language, p.theme"


class Member(msgspec.Struct, frozen=True):
    """A person's place in an account."""

    person_id: int
    email: str
    role: str
    has_totp: bool
    created_ms: int


class Link(msgspec.Struct, frozen=True):
    """A link that works once."""

    account_id: int | None
    email: str | None
    role: str | None


def check_email(text: str) -> str:
    """An e-mail address as it is kept. Raises InvalidParameter."""
    email = trim(text).lower()
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email) or not is_storable(email) or not email.isprintable():
        raise InvalidParameter("An e-mail address looks like name@example.org.")
    return email


def check_role(role: str) -> str:
    """A role. Raises InvalidParameter."""
    if role not in ROLES:
        raise InvalidParameter(f"A role is one of {', '.join(ROLES)}.")
    return role


def may(role: str, needed: str) -> bool:
    """Whether a role may do what another one is needed for."""
    return ROLES.index(role) >= ROLES.index(needed)


async def has_people(connection: Connection) -> bool:
    """Whether anybody can sign in yet."""
    return await connection.fetch_one("select 1 from people limit 1") is not None


async def create_person(connection: Connection, email: str, password_hash: str) -> Person:
    """A new person. Raises InvalidParameter, and Conflict where the address is taken."""
    email = check_email(email)
    # The row stays locked until the commit, and with it the addresses of people.
    row = await connection.fetch_one("update installation set last_person = last_person + 1 returning last_person")
    assert row is not None
    if await find_person(connection, email):
        raise Conflict("Somebody has that e-mail address already.")
    await connection.execute(
        "insert into people (id, email, password_hash, created_ms) values ($1, $2, $3, $4)",
        row[0], email, password_hash, now_ms(),
    )  # fmt: skip
    return Person(row[0], email, password_hash, None, None, None, None)


async def find_person(connection: Connection, email: str) -> Person | None:
    """The person of an e-mail address."""
    sql = f"select {PERSON_COLUMNS} from people p where p.email = $1"
    row = await connection.fetch_one(sql, trim(email).lower()) if is_storable(email) else None
    return Person(*row) if row else None


async def set_password(connection: Connection, person_id: int, password_hash: str) -> None:
    """Give a person another password, and end all sessions."""
    await connection.execute("update people set password_hash = $2 where id = $1", person_id, password_hash)
    await connection.execute("delete from sessions where person_id = $1", person_id)


async def set_totp(connection: Connection, person_id: int, secret: str | None, step: int | None) -> None:
    """Give a person a second factor, None: take it away. `step` is that of the last code that was used."""
    await connection.execute(
        "update people set totp_secret = $2, totp_step = $3 where id = $1", person_id, secret, step
    )


async def use_totp_step(connection: Connection, person_id: int, step: int) -> bool:
    """Note that a code was used; False where it or a later one was used before."""
    row = await connection.fetch_one(
        "update people set totp_step = $2 where id = $1 and coalesce(totp_step, 0) < $2 returning id", person_id, step
    )
    return row is not None


async def set_preferences(connection: Connection, person_id: int, language: str | None, theme: str | None) -> None:
    """Keep a person's language and theme; None: as the browser wants."""
    await connection.execute("update people set language = $2, theme = $3 where id = $1", person_id, language, theme)


async def list_members(connection: Connection, account_id: int) -> list[Member]:
    """The account's members, by e-mail address."""
    rows = await connection.fetch(
        "select p.id, p.email, m.role, case when p.totp_secret is null then 0 else 1 end, m.created_ms from members m"
        " join people p on p.id = m.person_id where m.account_id = $1 order by p.email",
        account_id,
    )
    return [Member(id, email, role, bool(has_totp), created_ms) for id, email, role, has_totp, created_ms in rows]


async def memberships(connection: Connection, person_id: int) -> list[tuple[Account, str]]:
    """The accounts of a person, with the role in each."""
    rows = await connection.fetch(
        f"select {COLUMNS}, m.role from members m join accounts a on a.id = m.account_id where m.person_id = $1"
        " order by a.id",
        person_id,
    )
    return [(account_from(row), _role(row)) for row in rows]


def _role(row: Row) -> str:
    return str(row[-1])


async def add_member(connection: Connection, account_id: int, person_id: int, role: str) -> None:
    """Make a person a member, or give a member another role. Raises Conflict where no owner would be left."""
    role = check_role(role)
    await _lock_members(connection, account_id)
    if role != "owner":
        await _check_other_owner(connection, account_id, person_id)
    await connection.execute(
        "insert into members (account_id, person_id, role, created_ms) values ($1, $2, $3, $4)"
        " on conflict (account_id, person_id) do update set role = excluded.role",
        account_id, person_id, role, now_ms(),
    )  # fmt: skip


async def remove_member(connection: Connection, account_id: int, person_id: int) -> None:
    """End a membership and its sessions. Raises NotFound, and Conflict for the last owner."""
    await _lock_members(connection, account_id)
    await _check_other_owner(connection, account_id, person_id)
    row = await connection.fetch_one(
        "delete from members where account_id = $1 and person_id = $2 returning person_id", account_id, person_id
    )
    if row is None:
        raise NotFound("There is no such member.")
    await connection.execute("delete from sessions where account_id = $1 and person_id = $2", account_id, person_id)
    await _forget_if_alone(connection, person_id)


async def _forget_if_alone(connection: Connection, person_id: int) -> None:
    """Forget a person who belongs to no account any more."""
    if not await connection.fetch_one("select 1 from members where person_id = $1", person_id):
        await connection.execute("delete from sessions where person_id = $1", person_id)
        await connection.execute("delete from people where id = $1", person_id)


async def _lock_members(connection: Connection, account_id: int) -> None:
    if not await connection.fetch_one(f"select 1 from accounts where id = $1{connection.for_update}", account_id):
        raise NotFound("The account has been deleted.")


async def _check_other_owner(connection: Connection, account_id: int, person_id: int) -> None:
    rows = await connection.fetch("select person_id from members where account_id = $1 and role = 'owner'", account_id)
    if [row[0] for row in rows] == [person_id]:
        raise Conflict("This is the account's last owner; make somebody else an owner first.")


async def create_link(
    connection: Connection,
    purpose: str,
    *,
    account_id: int | None = None,
    email: str | None = None,
    role: str | None = None,
) -> str:
    """The secret of a new link; a newer set-up, reset or login link ends the older ones for the same person."""
    now, secret = now_ms(), secrets.token_urlsafe(24)
    await connection.execute("delete from links where expires_ms < $1", now - 30 * DAY_MS)
    await connection.execute(
        "delete from links where purpose = $1 and coalesce(email, '') = $2 and coalesce(account_id, 0) = $3",
        purpose, email or "", account_id or 0,
    )  # fmt: skip
    await connection.execute(
        "insert into links (hash, purpose, account_id, email, role, expires_ms) values ($1, $2, $3, $4, $5, $6)",
        hash_token(secret), purpose, account_id, email, role, now + LINK_MS[purpose],
    )  # fmt: skip
    return secret


async def find_link(connection: Connection, purpose: str, secret: str) -> Link:
    """A link that can be used. Raises NotFound for an unknown one, Forbidden for one that was used or has expired."""
    row = await connection.fetch_one(
        "select account_id, email, role, expires_ms, used_ms from links where hash = $1 and purpose = $2",
        hash_token(secret), purpose,
    )  # fmt: skip
    if row is None:
        raise NotFound("There is no such link, or a newer one has taken its place.")
    *link, expires_ms, used_ms = row
    if used_ms is not None or expires_ms < now_ms():
        raise Forbidden("This link was used already or has expired; ask for a new one.")
    return Link(*link)


async def use_link(connection: Connection, purpose: str, secret: str) -> Link:
    """Use a link up. Raises NotFound and Forbidden as above."""
    await connection.fetch("select 1 from installation" + connection.for_update)
    link = await find_link(connection, purpose, secret)
    await connection.execute("update links set used_ms = $2 where hash = $1", hash_token(secret), now_ms())
    return link


async def invite(connection: Connection, account_id: int, email: str, role: str) -> str:
    """The secret of a link by which somebody becomes a member. Raises InvalidParameter."""
    return await create_link(connection, INVITE, account_id=account_id, email=check_email(email), role=check_role(role))


async def create_reset(connection: Connection, email: str) -> str:
    """The secret of a link by which a person chooses a new password. Raises NotFound."""
    person = await find_person(connection, email)
    if person is None:
        raise NotFound("Nobody has that e-mail address; `ringback member list` shows an account's members.")
    return await create_link(connection, RESET, email=person.email)
