"""Up to when a phone is known to be complete: manifests that count, and gaps. Rules: the contract of phones."""

from __future__ import annotations

import json
from typing import Any, Final

from ringback.accounts import lock_account, next_number
from ringback.calls.manifest import Manifest, ManifestRow, find_missing
from ringback.db import Connection
from ringback.errors import NotFound
from ringback.ids import GAP, make_id, read_id
from ringback.times import now_ms, rfc3339

FULL_LOG: Final = 500
"""Rows of a SIM that Android keeps: a log that holds so many may have lost older ones."""


async def take_manifest(
    connection: Connection, account_id: int, device_id: int, manifest: Manifest, at_ms: int
) -> tuple[list[int], int | None]:
    """What is missing of a read, and up to when the phone is complete; with nothing missing, the read counts.

    `at_ms` is the server's clock. Runs under the lock of the account's row, so that no call leaves meanwhile.
    """
    await lock_account(connection, account_id)
    missing = await find_missing(connection, account_id, device_id, manifest.rows)
    row = await connection.fetch_one(
        "select synced_through_ms, newest_row from devices where account_id = $1 and id = $2", account_id, device_id
    )
    assert row is not None
    value, newest = row
    moment = min(manifest.at_ms, manifest.at_ms + at_ms - manifest.sent_at_ms, at_ms)
    if missing or (value is not None and moment <= value):
        return missing, value
    gap_end = None if value is None else _gap_end(manifest, moment, value, json.loads(newest))
    if gap_end is not None:
        number = await next_number(connection, account_id, "last_gap")
        await connection.execute(
            "insert into gaps (account_id, id, device_id, from_ms, to_ms) values ($1, $2, $3, $4, $5)",
            account_id, number, device_id, value, gap_end,
        )  # fmt: skip
    await connection.execute(
        "update devices set synced_through_ms = $3, newest_row = $4 where account_id = $1 and id = $2",
        account_id, device_id, moment, json.dumps(max(manifest.rows, key=_latest, default=None)),
    )  # fmt: skip
    return [], moment


def _gap_end(manifest: Manifest, moment: int, value: int, newest: Any) -> int | None:
    """Up to when nobody can vouch for the phone's log, since `value`; None where it was whole all the time."""
    trimmed = [log.from_ms for log in manifest.logs if log.rows >= FULL_LOG and log.from_ms > value]
    if trimmed:
        return max(trimmed)
    if newest is not None and not any(_is_same(row, newest) for row in manifest.rows):
        return moment
    return None


def _latest(row: ManifestRow) -> tuple[int, ...]:
    return row.seconds[::-1]


def _is_same(row: ManifestRow, kept: Any) -> bool:
    """Whether a row is the one that was kept of another read; its number, and what is known of its hour, may differ."""
    direction, seconds, key_hash, _ = kept
    return (row.direction, row.key_hash) == (direction, key_hash) and bool(set(row.seconds) & set(seconds))


async def synced_through(connection: Connection, account_id: int, device_id: int) -> int | None:
    """Up to when a phone is known to be complete, in ms."""
    row = await connection.fetch_one(
        "select synced_through_ms from devices where account_id = $1 and id = $2", account_id, device_id
    )
    return row[0] if row else None


async def account_synced_through(connection: Connection, account_id: int) -> int | None:
    """Up to when all phones of the account are known to be complete, in ms; None while one of them is not at all."""
    row = await connection.fetch_one(
        "select count(*), count(synced_through_ms), min(synced_through_ms) from devices"
        " where account_id = $1 and last_seen_ms is not null and revoked_ms is null",
        account_id,
    )
    assert row is not None
    phones, proved, earliest = row
    return earliest if phones and phones == proved else None


async def list_gaps(connection: Connection, account_id: int) -> dict[int, list[dict[str, Any]]]:
    """The gaps of each of the account's devices, by the device's number, in the order of their making."""
    rows = await connection.fetch(
        "select device_id, id, from_ms, to_ms, closed_ms from gaps where account_id = $1 order by id", account_id
    )
    gaps: dict[int, list[dict[str, Any]]] = {}
    for device_id, id, from_ms, to_ms, closed_ms in rows:
        gap = {
            "id": make_id(GAP, account_id, id),
            "from": rfc3339(from_ms),
            "to": rfc3339(to_ms),
            "closed_at": None if closed_ms is None else rfc3339(closed_ms),
        }
        gaps.setdefault(device_id, []).append(gap)
    return gaps


async def close_gap(connection: Connection, account_id: int, id: str, device_id: int | None = None) -> None:
    """Note that a person has closed a gap, as after an import. Raises NotFound, also where it is another device's."""
    found = read_id(GAP, id)
    row = None
    if found and found[0] == account_id:
        row = await connection.fetch_one(
            "select device_id from gaps where account_id = $1 and id = $2", account_id, found[1]
        )
    if not found or not row or device_id not in (None, row[0]):
        raise NotFound("There is no gap of that id; `ringback device gap list` shows them.")
    await connection.execute(
        "update gaps set closed_ms = coalesce(closed_ms, $3) where account_id = $1 and id = $2",
        account_id, found[1], now_ms(),
    )  # fmt: skip
