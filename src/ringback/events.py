"""Events: what has happened, kept with the body that others get, and the deliveries that follow from it.

They are written in the transaction of what they tell of. Rules: the contract of webhooks.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from ringback.accounts import next_number
from ringback.db import Connection
from ringback.times import DAY_MS, rfc3339

API_VERSION: Final = "2026-09-22"
TEST: Final = "webhook.test"
TYPES: Final = (
    "call.missed", "call.incoming", "call.outgoing", "call.updated", "call.deleted", "device.silent", "device.back",
)  # fmt: skip
"""What an endpoint can be told of."""

KEPT_MS: Final = 30 * DAY_MS


class News(NamedTuple):
    """An event that is to be: `change` is a change number that is given to nothing else."""

    change: int
    type: str
    occurred_ms: int
    data: dict[str, Any]


async def add_events(
    connection: Connection, account_id: int, news: Iterable[News], now_ms: int, webhook_id: int | None = None
) -> None:
    """Keep events, and make a delivery of each for every endpoint that wants it; `webhook_id`: for that one alone.

    The account's row must be locked.
    """
    rows = [_row(account_id, one, now_ms, webhook_id) for one in news]
    if not rows:
        return
    await connection.execute_many(
        "insert into events (account_id, change, id, type, body, created_ms, webhook_id)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        rows,
    )
    connection.announce()
    hooks = await connection.fetch(
        "select id, events from webhooks where account_id = $1 and status <> 'disabled' order by id", account_id
    )
    wanted = {id: types.split(",") if webhook_id is None else [TEST] for id, types in hooks if webhook_id in (None, id)}
    pairs = [(change, id) for _, change, _, type, *_ in rows for id, types in wanted.items() if type in types]
    await add_deliveries(connection, account_id, pairs, now_ms)


async def add_event(
    connection: Connection,
    account_id: int,
    type: str,
    data: dict[str, Any],
    now_ms: int,
    *,
    webhook_id: int | None = None,
) -> int:
    """Keep one event of the present moment, under the account's next change number, which is returned."""
    change = await next_number(connection, account_id, "last_change")
    await add_events(connection, account_id, [News(change, type, now_ms, data)], now_ms, webhook_id)
    return change


def _row(account_id: int, news: News, now_ms: int, webhook_id: int | None) -> tuple[Any, ...]:
    id = str(uuid.uuid4())
    body = {
        "id": id,
        "type": news.type,
        "api_version": API_VERSION,
        "created_at": rfc3339(now_ms),
        "occurred_at": rfc3339(news.occurred_ms),
        "data": news.data,
    }
    text = msgspec.json.encode(body).decode()
    return account_id, news.change, id, news.type, text, now_ms, webhook_id


async def add_deliveries(connection: Connection, account_id: int, pairs: list[tuple[int, int]], now_ms: int) -> None:
    """A delivery of each event, given by its change, to an endpoint, given by its number."""
    if not pairs:
        return
    row = await connection.fetch_one(
        "update accounts set last_delivery = last_delivery + $2 where id = $1 returning last_delivery",
        account_id, len(pairs),
    )  # fmt: skip
    assert row is not None
    first = row[0] - len(pairs) + 1
    await connection.execute_many(
        "insert into deliveries (account_id, id, webhook_id, change, status, created_ms, due_ms)"
        " values ($1, $2, $3, $4, 'pending', $5, $5)",
        [(account_id, first + place, hook, change, now_ms) for place, (change, hook) in enumerate(pairs)],
    )
