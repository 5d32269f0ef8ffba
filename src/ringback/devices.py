"""Devices: the phones that calls come from, and what calls of backup files belong to."""

from __future__ import annotations

import json
from statistics import median
from typing import Any, Final

import msgspec

from ringback.accounts import COLUMNS, Account, account_from, check_name, lock_account, next_number
from ringback.db import Connection
from ringback.errors import Conflict, InvalidParameter, NotFound
from ringback.events import add_event
from ringback.ids import DEVICE, make_id
from ringback.times import DAY_MS, now_ms, rfc3339
from ringback.tokens import hash_token, make_token, token_account

PREFIX: Final = "rbd"

CONTACT_MS: Final = 5 * 60_000
"""Requests nearer than this to the beginning of a contact belong to it."""

SHORTEST_RHYTHM_MS: Final = 15 * 60_000
LONGEST_RHYTHM_MS: Final = DAY_MS
INTERVALS: Final = 20
"""How many of the last intervals between contacts tell a phone's rhythm."""

STATUSES: Final = ("never", "online", "late", "silent", "revoked")
ONLINE_RHYTHMS: Final = 2
LATE_RHYTHMS: Final = 8


class Device(msgspec.Struct, frozen=True):
    """A device; `last_seen_ms` is its last request, None where its calls came from files alone."""

    account_id: int
    number: int
    name: str
    created_ms: int
    last_seen_ms: int | None
    revoked_ms: int | None
    has_token: bool
    """Whether it ever was a phone: paired, or made with a token."""
    platform: str | None
    agent_version: str | None
    time_zone: str | None
    battery: int | None
    charging: int | None
    permission: str | None
    outbox: int | None
    contact_ms: int | None
    """When its last contact began."""
    intervals: str | None
    """Lengths of the last intervals between contacts: ms, as JSON."""
    synced_through_ms: int | None

    @property
    def id(self) -> str:
        """The id as others see it."""
        return make_id(DEVICE, self.account_id, self.number)

    @property
    def counts(self) -> bool:
        """Whether it is a phone that the account relies on: from its first contact until it is revoked."""
        return self.last_seen_ms is not None and self.revoked_ms is None

    @property
    def rhythm_ms(self) -> float:
        """How far apart the phone's contacts are expected to be, by the last ones."""
        intervals = json.loads(self.intervals or "[]")
        return min(max(median(intervals) if intervals else 0, SHORTEST_RHYTHM_MS), LONGEST_RHYTHM_MS)

    def status(self, at_ms: int) -> str:
        """How it does: one of STATUSES."""
        if self.revoked_ms is not None:
            return "revoked"
        if self.last_seen_ms is None:
            return "never"
        rhythms = (at_ms - self.last_seen_ms) / self.rhythm_ms
        if rhythms <= ONLINE_RHYTHMS:
            return "online"
        return "late" if rhythms <= LATE_RHYTHMS else "silent"

    def to_dict(self, gaps: list[dict[str, Any]]) -> dict[str, Any]:
        """The device as commands and `/v1/devices` show it."""
        last_seen = rfc3339(self.last_seen_ms) if self.last_seen_ms is not None else None
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status(now_ms()),
            "platform": self.platform,
            "agent_version": self.agent_version,
            "time_zone": self.time_zone,
            "battery": self.battery,
            "charging": None if self.charging is None else bool(self.charging),
            "permission": self.permission,
            "outbox": self.outbox,
            "last_seen": last_seen,
            "synced_through": rfc3339(self.synced_through_ms) if self.synced_through_ms is not None else None,
            "gaps": gaps,
        }


_COLUMNS: Final = (
    "d.account_id, d.id, d.name, d.created_ms, d.last_seen_ms, d.revoked_ms,"
    " case when d.token_hash is null then 0 else 1 end, d.platform, d.agent_version, d.time_zone, d.battery,"
    " d.charging, d.permission, d.outbox, d.contact_ms, d.intervals, d.synced_through_ms"
)


async def create_device(connection: Connection, account_id: int, name: str) -> Device:
    """A new device without a token. Raises InvalidParameter, and Conflict where the name is taken."""
    name = check_name(name, "A device's name")
    number = await next_number(connection, account_id, "last_device")
    await _check_free(connection, account_id, name)
    await connection.execute(
        "insert into devices (account_id, id, name, created_ms) values ($1, $2, $3, $4)",
        account_id, number, name, now_ms(),
    )  # fmt: skip
    return await find_device(connection, account_id, name)


async def create_device_token(connection: Connection, account_id: int, number: int) -> str:
    """A token for the device, which can't be shown again."""
    token = make_token(PREFIX, account_id)
    await connection.execute(
        "update devices set token_hash = $3 where account_id = $1 and id = $2", account_id, number, hash_token(token)
    )
    return token


async def pair_device(
    connection: Connection,
    account_id: int,
    device: Device,
    name: str,
    platform: str | None,
    version: str | None,
    at_ms: int,
) -> tuple[Device, str]:
    """Give the device a token and its name. An older token ends with the first use of the new one. Raises NotFound."""
    await lock_account(connection, account_id)
    token = make_token(PREFIX, account_id)
    column = "next_token_hash" if device.has_token else "token_hash"
    await connection.execute(
        f"update devices set {column} = $3, name = $4, platform = $5, agent_version = $6, revoked_ms = null"
        " where account_id = $1 and id = $2",
        account_id, device.number, hash_token(token), name, platform, version,
    )  # fmt: skip
    await note_seen(connection, account_id, device.number, at_ms)
    if device.revoked_ms is not None:
        await use_next_token(connection, account_id, device.number)
    return await find_device(connection, account_id, name), token


async def token_device(connection: Connection, token: str) -> tuple[Account, Device, bool] | None:
    """The account and device of a token, and whether it is one to be used from now on in place of an older one.

    None where it is unknown or revoked.
    """
    account_id = token_account(PREFIX, token)
    if account_id is None:
        return None
    for column in ("token_hash", "next_token_hash"):
        row = await connection.fetch_one(
            f"select {COLUMNS}, {_COLUMNS} from devices d join accounts a on a.id = d.account_id"
            f" where d.account_id = $1 and d.{column} = $2 and d.revoked_ms is null",
            account_id, hash_token(token),
        )  # fmt: skip
        if row:
            return account_from(row), Device(*row[7:]), column == "next_token_hash"
    return None


async def use_next_token(connection: Connection, account_id: int, number: int) -> None:
    """End the older token of a device that was paired again."""
    await connection.execute(
        "update devices set token_hash = next_token_hash, next_token_hash = null"
        " where account_id = $1 and id = $2 and next_token_hash is not null",
        account_id, number,
    )  # fmt: skip


async def find_device(connection: Connection, account_id: int, name: str) -> Device:
    """The device of a name. Raises NotFound."""
    for device in await list_devices(connection, account_id):
        if device.name == name:
            return device
    raise NotFound("There is no device of that name; `ringback device list` shows them.")


async def device_by_id(connection: Connection, account_id: int, id: str) -> Device:
    """The device of an id. Raises NotFound."""
    for device in await list_devices(connection, account_id):
        if device.id == id:
            return device
    raise NotFound("There is no device of that id.")


async def list_devices(connection: Connection, account_id: int) -> list[Device]:
    """The account's devices, in the order of their making, revoked ones too."""
    rows = await connection.fetch(f"select {_COLUMNS} from devices d where d.account_id = $1 order by d.id", account_id)
    return [Device(*row) for row in rows]


async def import_device_name(connection: Connection, account_id: int, name: str) -> str:
    """The name of the device that files belong to: the one given, else the account's only one, else "import".

    Raises InvalidParameter where there are several to choose from.
    """
    if name:
        return check_name(name, "A device's name")
    devices = await list_devices(connection, account_id)
    devices = [device for device in devices if device.revoked_ms is None] or devices
    if len(devices) > 1:
        raise InvalidParameter("The account has several devices; name the one whose calls these are with --device.")
    return devices[0].name if devices else "import"


async def import_device(connection: Connection, account_id: int, name: str) -> Device:
    """The device of a name, made where it is new."""
    try:
        return await find_device(connection, account_id, name)
    except NotFound:
        return await create_device(connection, account_id, name)


async def rename_device(connection: Connection, account_id: int, name: str, new_name: str) -> None:
    """Give a device another name. Raises NotFound, InvalidParameter, and Conflict where the new name is taken."""
    new_name = check_name(new_name, "A device's name")
    device = await find_device(connection, account_id, name)
    if new_name != device.name:
        await _check_free(connection, account_id, new_name)
    await connection.execute(
        "update devices set name = $3 where account_id = $1 and id = $2", account_id, device.number, new_name
    )


async def revoke_device(connection: Connection, account_id: int, name: str) -> None:
    """End a device's token for ever; its calls stay. Raises NotFound."""
    device = await find_device(connection, account_id, name)
    await connection.execute(
        "update devices set revoked_ms = coalesce(revoked_ms, $3) where account_id = $1 and id = $2",
        account_id, device.number, now_ms(),
    )  # fmt: skip


async def note_seen(connection: Connection, account_id: int, number: int, at_ms: int) -> None:
    """Note a request of the device: it belongs to the last contact, or begins a new one. Raises NotFound."""
    await lock_account(connection, account_id)
    row = await connection.fetch_one(
        "select last_seen_ms, contact_ms, intervals, silent_ms from devices where account_id = $1 and id = $2",
        account_id, number,
    )  # fmt: skip
    if row is None:
        return
    last_seen_ms, contact_ms, intervals, silent_ms = row
    if contact_ms is None or at_ms - contact_ms > CONTACT_MS:
        if contact_ms is not None:
            intervals = json.dumps([*json.loads(intervals or "[]"), at_ms - contact_ms][-INTERVALS:])
        contact_ms = at_ms
    await connection.execute(
        "update devices set last_seen_ms = $3, contact_ms = $4, intervals = $5 where account_id = $1 and id = $2",
        account_id, number, max(at_ms, last_seen_ms or 0), contact_ms, intervals,
    )  # fmt: skip
    if silent_ms is not None:
        await _tell(connection, account_id, number, None, at_ms)


async def silent_accounts(connection: Connection, now_ms: int) -> list[int]:
    """Accounts with phones of whose silence nobody may have been told yet."""
    rows = await connection.fetch(
        "select distinct account_id from devices"
        " where silent_ms is null and revoked_ms is null and last_seen_ms < $1 order by account_id",
        now_ms - LATE_RHYTHMS * SHORTEST_RHYTHM_MS,
    )
    return [id for (id,) in rows]


async def tell_of_silence(connection: Connection, account_id: int, now_ms: int) -> None:
    """Keep an event for each phone that has fallen silent, once a silence. Raises NotFound."""
    await lock_account(connection, account_id)
    rows = await connection.fetch(
        f"select {_COLUMNS} from devices d where d.account_id = $1 and d.silent_ms is null order by d.id", account_id
    )
    for device in [Device(*row) for row in rows]:
        if device.status(now_ms) == "silent":
            await _tell(connection, account_id, device.number, now_ms, now_ms)


async def _tell(connection: Connection, account_id: int, number: int, silent_ms: int | None, now_ms: int) -> None:
    """Keep the event of a phone that is silent since a moment, or back."""
    # Another process may have told of it meanwhile.
    row = await connection.fetch_one(
        "update devices set silent_ms = $3 where account_id = $1 and id = $2"
        f" and silent_ms is {'not ' if silent_ms is None else ''}null returning id",
        account_id, number, silent_ms,
    )  # fmt: skip
    if row is None:
        return
    row = await connection.fetch_one(
        f"select {_COLUMNS} from devices d where d.account_id = $1 and d.id = $2", account_id, number
    )
    assert row is not None
    device = Device(*row)
    data = {
        "device_id": device.id,
        "name": device.name,
        "status": device.status(now_ms),
        "last_seen": rfc3339(device.last_seen_ms or 0),
    }
    await add_event(connection, account_id, "device.back" if silent_ms is None else "device.silent", data, now_ms)


class Heartbeat(msgspec.Struct, frozen=True):
    """What a phone says of itself."""

    agent_version: str | None
    time_zone: str | None
    outbox: int
    battery: int | None
    charging: bool | None
    permission: str


async def note_heartbeat(connection: Connection, account_id: int, number: int, said: Heartbeat) -> None:
    """Keep what a phone said of itself."""
    await connection.execute(
        "update devices set agent_version = $3, time_zone = $4, outbox = $5, battery = $6, charging = $7,"
        " permission = $8 where account_id = $1 and id = $2",
        account_id, number, said.agent_version, said.time_zone, said.outbox, said.battery,
        None if said.charging is None else int(said.charging), said.permission,
    )  # fmt: skip


async def _check_free(connection: Connection, account_id: int, name: str) -> None:
    if await connection.fetch_one("select 1 from devices where account_id = $1 and name = $2", account_id, name):
        raise Conflict("The account has a device of that name already; choose another name.")
