"""Reports that could not be taken: kept as they were sent, until someone looks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from ringback.calls.contract import BadReport, JsonNumber
from ringback.db import Connection
from ringback.ids import DEVICE, REJECTED, make_id, read_id
from ringback.times import rfc3339


class Rejected(msgspec.Struct, frozen=True):
    """A rejected report as it is answered."""

    id: str
    device_id: str
    received_at: str
    error: str
    report: msgspec.Raw
    place: int | None


async def keep_rejected(
    connection: Connection,
    account_id: int,
    device_id: int,
    last_id: int,
    reports: Iterable[BadReport],
    now_ms: int,
    import_id: int | None = None,
) -> int:
    """Keep bad reports, each once for a device; returns the account's last id of one."""
    rows = []
    for bad in reports:
        last_id += 1
        digest = blake2b(json_text(bad.report, ordered=True).encode(), digest_size=16).digest()
        report = json_text(bad.report)
        rows.append((account_id, last_id, device_id, bad.place, now_ms, bad.error, report, digest, import_id))
    await connection.execute_many(
        "insert into rejected"
        " (account_id, id, device_id, place, received_ms, error, report, digest, import_id)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " on conflict (account_id, device_id, digest) do nothing",
        rows,
    )
    return last_id


async def list_rejected(
    connection: Connection,
    account_id: int,
    device_id: int | None,
    after: int,
    limit: int,
    import_id: int | None = None,
) -> list[Rejected]:
    """Rejected reports, oldest first, from the id `after` on; of one device or import, or of all."""
    clause, values = "", []
    for column, value in (("device_id", device_id), ("import_id", import_id)):
        if value is not None:
            values.append(value)
            clause += f" and {column} = ${len(values) + 3}"
    rows = await connection.fetch(
        "select id, device_id, received_ms, error, report, place from rejected"
        f" where account_id = $1 and id > $2{clause} order by id limit $3",
        account_id, after, limit, *values,
    )  # fmt: skip
    return [
        Rejected(
            id=make_id(REJECTED, account_id, id),
            device_id=make_id(DEVICE, account_id, device),
            received_at=rfc3339(received_ms),
            error=error,
            report=msgspec.Raw(report.encode()),
            place=place,
        )
        for id, device, received_ms, error, report, place in rows
    ]


def rejected_number(rejected: Rejected) -> int:
    """Its number in its account: the place in the list."""
    found = read_id(REJECTED, rejected.id)
    assert found is not None
    return found[1]


def json_text(value: Any, *, ordered: bool = False) -> str:
    """The JSON that was sent, in ASCII, with numbers as they were written; `ordered`: names in order, to compare."""
    match value:
        case JsonNumber():
            return str(value)
        case dict():
            items = sorted(value.items()) if ordered else value.items()
            return "{" + ", ".join(f"{json.dumps(name)}: {json_text(v, ordered=ordered)}" for name, v in items) + "}"
        case list():
            return "[" + ", ".join(json_text(item, ordered=ordered) for item in value) + "]"
    return json.dumps(value)
