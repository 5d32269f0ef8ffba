"""Pairing: a code that is good once turns a phone into a device with a token. Rules: the contract of phones."""

from __future__ import annotations

import re
import secrets
from typing import Final, NamedTuple

from ringback.accounts import check_name
from ringback.db import Connection
from ringback.devices import Device, create_device, list_devices, pair_device
from ringback.errors import Forbidden, InvalidCode, RateLimited
from ringback.times import now_ms
from ringback.tokens import hash_token

LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""What can't be misread: no 0 O 1 I L."""

CODE_LENGTH: Final = 8
CODE_MS: Final = 5 * 60_000
"""How long a code is good."""

MOST_TRIES: Final = 5
TRIES_MS: Final = 5 * 60_000


class Code(NamedTuple):
    """A pairing code and when it ends."""

    code: str
    expires_ms: int


class Paired(NamedTuple):
    """What a phone gets for its code."""

    device: Device
    token: str


async def create_code(connection: Connection, account_id: int, name: str, *, new_device: bool) -> Code:
    """A code for a phone of that name. Raises InvalidParameter."""
    name = check_name(name, "A device's name")
    now = now_ms()
    await connection.execute("delete from pairing_codes where expires_ms < $1", now - CODE_MS)
    code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
    await connection.execute(
        "insert into pairing_codes (hash, account_id, name, new_device, expires_ms) values ($1, $2, $3, $4, $5)",
        hash_token(code), account_id, name, int(new_device), now + CODE_MS,
    )  # fmt: skip
    return Code(code, now + CODE_MS)


async def redeem_code(
    connection: Connection, code: str, platform: str | None, agent_version: str | None, address: str
) -> Paired | InvalidCode:
    """Turn a code into a device with a token. An unknown code is noted as a try of the address, and so returned.

    Raises RateLimited after too many tries, Forbidden where the code was used or has expired.
    """
    now = now_ms()
    # One at a time, so that tries are counted and exactly one of two phones wins.
    await connection.fetch("select 1 from installation" + connection.for_update)
    await _check_tries(connection, address, now)
    code = re.sub(r"[\s-]", "", code).upper()
    row = await connection.fetch_one(
        "select account_id, name, new_device, expires_ms, used_ms from pairing_codes where hash = $1", hash_token(code)
    )
    if row is None:
        await connection.execute("insert into pairing_tries (address, at_ms) values ($1, $2)", address, now)
        return InvalidCode("There is no such code; look at it once more, or make a new one.")
    account_id, name, new_device, expires_ms, used_ms = row
    if used_ms is not None or expires_ms <= now:
        raise Forbidden("The code was used already or has expired; make a new one with `ringback device pair`.")
    await connection.execute("update pairing_codes set used_ms = $2 where hash = $1", hash_token(code), now)
    device = await _find_or_create(connection, account_id, name, new_device=bool(new_device))
    return Paired(*await pair_device(connection, account_id, device, name, platform, agent_version, now))


async def _find_or_create(connection: Connection, account_id: int, name: str, *, new_device: bool) -> Device:
    """The phone of the name; else the account's only device where it was only imported so far; else a new one."""
    devices = await list_devices(connection, account_id)
    for device in devices:
        if device.name == name:
            return device
    if len(devices) == 1 and not new_device and not devices[0].has_token:
        return devices[0]
    return await create_device(connection, account_id, name)


async def _check_tries(connection: Connection, address: str, now: int) -> None:
    await connection.execute("delete from pairing_tries where at_ms <= $1", now - TRIES_MS)
    rows = await connection.fetch("select at_ms from pairing_tries where address = $1 order by at_ms", address)
    if len(rows) >= MOST_TRIES:
        wait_ms = rows[-MOST_TRIES][0] + TRIES_MS - now
        raise RateLimited(
            "Too many wrong codes came from this address; wait.", retry_after=max(1, -(-wait_ms // 1_000))
        )
