"""API keys of an account."""

from __future__ import annotations

from typing import Final

import msgspec

from ringback.accounts import COLUMNS, Account, account_from, check_name, next_number
from ringback.db import Connection
from ringback.errors import NotFound
from ringback.ids import KEY, make_id, read_id
from ringback.times import now_ms
from ringback.tokens import hash_token, make_token, token_account

PREFIX: Final = "rbk"


class Key(msgspec.Struct, frozen=True):
    """An API key without its secret. The id is unique in the installation: it names the account too."""

    id: str
    name: str
    created_ms: int
    revoked_ms: int | None
    last_used_ms: int | None
    """Within USE_MS."""


USE_MS: Final = 5 * 60_000
"""How exact the moment of the last use is: it must not cost a write for each request."""


async def create_key(connection: Connection, account_id: int, name: str) -> str:
    """A new key, which can't be shown again."""
    name = check_name(name, "A key's name")
    number = await next_number(connection, account_id, "last_key")
    key = make_token(PREFIX, account_id)
    await connection.execute(
        "insert into keys (account_id, id, name, hash, created_ms) values ($1, $2, $3, $4, $5)",
        account_id, number, name, hash_token(key), now_ms(),
    )  # fmt: skip
    return key


async def key_account(connection: Connection, key: str) -> tuple[Account, int, int | None] | None:
    """The account of a key, its number and its last use; None where it is unknown or revoked."""
    account_id = token_account(PREFIX, key)
    if account_id is None:
        return None
    row = await connection.fetch_one(
        f"select {COLUMNS}, k.id, k.last_used_ms from keys k join accounts a on a.id = k.account_id"
        " where k.account_id = $1 and k.hash = $2 and k.revoked_ms is null",
        account_id, hash_token(key),
    )  # fmt: skip
    return (account_from(row), row[-2], row[-1]) if row else None


async def note_use(connection: Connection, account_id: int, number: int) -> None:
    """Note that a key is in use."""
    await connection.execute(
        "update keys set last_used_ms = $3 where account_id = $1 and id = $2", account_id, number, now_ms()
    )


async def list_keys(connection: Connection, account_id: int) -> list[Key]:
    """The account's keys, in the order of their making, revoked ones too."""
    rows = await connection.fetch(
        "select id, name, created_ms, revoked_ms, last_used_ms from keys where account_id = $1 order by id", account_id
    )
    return [Key(make_id(KEY, account_id, id), *rest) for id, *rest in rows]


async def revoke_key(connection: Connection, key_id: str) -> None:
    """End a key for ever. Raises NotFound."""
    found = read_id(KEY, key_id)
    row = found and await connection.fetch_one(
        "update keys set revoked_ms = coalesce(revoked_ms, $3) where account_id = $1 and id = $2 returning id",
        *found, now_ms(),
    )  # fmt: skip
    if not row:
        raise NotFound("There is no key of that id; `ringback key list` shows them.")
