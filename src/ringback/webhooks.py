"""Endpoints that hear of events, and their deliveries. Rules: the contract of webhooks."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import msgspec

from ringback.accounts import lock_account, next_number
from ringback.db import Connection, Database
from ringback.errors import Conflict, InvalidParameter, NotFound
from ringback.events import KEPT_MS, TEST, TYPES, add_deliveries, add_event
from ringback.ids import DELIVERY, WEBHOOK, make_id, read_id
from ringback.times import now_ms, rfc3339, today

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
OVERLAP_S: Final = 86_400
LONGEST_OVERLAP_S: Final = 30 * 86_400
MOST_REPLAYED: Final = 10_000
MOST_WEBHOOKS: Final = 100
"""Of one account: each makes a row of every event."""

STATUSES: Final = ("active", "paused", "disabled")
_DISABLED: Final = "The webhook is disabled, since its receiver answered 410; make it active first."
DELIVERY_STATUSES: Final = ("pending", "held", "delivered", "failed", "cancelled")


class Webhook(msgspec.Struct, frozen=True):
    """An endpoint without its secret."""

    account_id: int
    number: int
    url: str
    types: str
    status: str
    created_ms: int
    failing_since_ms: int | None
    hold_ms: int
    old_until_ms: int

    @property
    def id(self) -> str:
        """The id as others see it."""
        return make_id(WEBHOOK, self.account_id, self.number)

    @property
    def events(self) -> list[str]:
        """The types that it wants."""
        return self.types.split(",")

    def to_dict(self) -> dict[str, Any]:
        """The endpoint as `/v1` and commands show it."""
        return {
            "id": self.id,
            "url": self.url,
            "events": self.events,
            "status": self.status,
            "created_at": rfc3339(self.created_ms),
        }


_COLUMNS: Final = "account_id, id, url, events, status, created_ms, failing_since_ms, hold_ms, old_until_ms"


def check_events(values: Iterable[Any]) -> str:
    """The types of an endpoint as they are kept. Raises InvalidParameter."""
    found = list(values)
    if not found or not all(isinstance(value, str) and value in TYPES for value in found):
        raise InvalidParameter(f"events must be some of {', '.join(TYPES)}.")
    return ",".join(type for type in TYPES if type in found)


def check_secret(text: str | None) -> str:
    """A given secret, or a new one. Raises InvalidParameter."""
    if text is None:
        return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    encoded = text.removeprefix(PREFIX)
    try:
        right = text.startswith(PREFIX) and len(base64.b64decode(encoded, validate=True)) == SECRET_BYTES
    except (binascii.Error, ValueError):
        right = False
    if not right:
        raise InvalidParameter(f"secret must be {PREFIX} and the base64 of {SECRET_BYTES} bytes.")
    return text


async def create_webhook(connection: Connection, account_id: int, url: str, types: str, secret: str) -> Webhook:
    """A new endpoint; the url, types and secret were checked. Raises Conflict where there are too many."""
    number = await next_number(connection, account_id, "last_webhook")
    row = await connection.fetch_one("select count(*) from webhooks where account_id = $1", account_id)
    if row and row[0] >= MOST_WEBHOOKS:
        raise Conflict(f"An account has at most {MOST_WEBHOOKS} webhooks; delete one first.")
    await connection.execute(
        "insert into webhooks (account_id, id, url, events, status, secret, created_ms)"
        " values ($1, $2, $3, $4, 'active', $5, $6)",
        account_id, number, url, types, secret, now_ms(),
    )  # fmt: skip
    return await webhook_by_id(connection, account_id, make_id(WEBHOOK, account_id, number))


async def list_webhooks(connection: Connection, account_id: int) -> list[Webhook]:
    """The account's endpoints, in the order of their making."""
    rows = await connection.fetch(f"select {_COLUMNS} from webhooks where account_id = $1 order by id", account_id)
    return [Webhook(*row) for row in rows]


async def webhook_by_id(connection: Connection, account_id: int, id: str) -> Webhook:
    """The endpoint of an id. Raises NotFound, also where it is another account's."""
    place = read_id(WEBHOOK, id)
    row = None
    if place and place[0] == account_id:
        row = await connection.fetch_one(f"select {_COLUMNS} from webhooks where account_id = $1 and id = $2", *place)
    if row is None:
        raise NotFound("There is no webhook of that id.")
    return Webhook(*row)


async def change_webhook(
    connection: Connection,
    account_id: int,
    id: str,
    *,
    url: str | None = None,
    types: str | None = None,
    status: str | None = None,
) -> Webhook:
    """Give an endpoint another url, other types or another status. Raises NotFound."""
    await lock_account(connection, account_id)
    webhook = await webhook_by_id(connection, account_id, id)
    afresh = (url is not None and url != webhook.url) or (status == "active" and webhook.status != "active")
    await connection.execute(
        "update webhooks set url = $3, events = $4, status = $5, failing_since_ms = $6, hold_ms = $7"
        " where account_id = $1 and id = $2",
        account_id, webhook.number, url or webhook.url, types or webhook.types, status or webhook.status,
        # What a receiver did at another address, or before a person took it up again, is past.
        None if afresh else webhook.failing_since_ms, 0 if afresh else webhook.hold_ms,
    )  # fmt: skip
    connection.announce()
    return await webhook_by_id(connection, account_id, id)


async def rotate_secret(connection: Connection, account_id: int, id: str, secret: str, overlap_s: int) -> None:
    """Give an endpoint a new secret; the old one is valid too for a while. Raises NotFound, Conflict."""
    await lock_account(connection, account_id)
    webhook, now = await webhook_by_id(connection, account_id, id), now_ms()
    if webhook.old_until_ms > now:
        raise Conflict("Two secrets are valid already; wait until the older one ends.")
    await connection.execute(
        "update webhooks set old_secret = secret, secret = $3, old_until_ms = $4 where account_id = $1 and id = $2",
        account_id, webhook.number, secret, now + overlap_s * 1_000,
    )  # fmt: skip


async def delete_webhook(connection: Connection, account_id: int, id: str) -> None:
    """Delete an endpoint with its deliveries. Raises NotFound."""
    await lock_account(connection, account_id)
    place = account_id, (await webhook_by_id(connection, account_id, id)).number
    await connection.execute(
        "delete from attempts where account_id = $1"
        " and delivery_id in (select id from deliveries where account_id = $1 and webhook_id = $2)",
        *place,
    )
    await connection.execute("delete from deliveries where account_id = $1 and webhook_id = $2", *place)
    await connection.execute("delete from events where account_id = $1 and webhook_id = $2", *place)
    await connection.execute("delete from webhooks where account_id = $1 and id = $2", *place)


async def test_webhook(connection: Connection, account_id: int, id: str) -> str:
    """Send an endpoint an event of its own; returns the id of its delivery. Raises NotFound, Conflict."""
    await lock_account(connection, account_id)
    webhook = await webhook_by_id(connection, account_id, id)
    if webhook.status == "disabled":
        raise Conflict(_DISABLED)
    change = await add_event(
        connection, account_id, TEST, {"webhook_id": webhook.id}, now_ms(), webhook_id=webhook.number
    )
    row = await connection.fetch_one(
        "select id from deliveries where account_id = $1 and webhook_id = $2 and change = $3",
        account_id, webhook.number, change,
    )  # fmt: skip
    assert row is not None
    return make_id(DELIVERY, account_id, row[0])


async def replay(
    connection: Connection, account_id: int, id: str, place: str, first: int, last: int, from_change: int = 0
) -> dict[str, Any]:
    """Make the events of a range due again, each with a fresh plan, those that the endpoint wants and its own tests.

    `place` is what the range is of: `change` or `created_ms`; both ends belong to it. `from_change` is where a replay
    goes on that was too long for one. Raises NotFound, Conflict.
    """
    await lock_account(connection, account_id)
    webhook = await webhook_by_id(connection, account_id, id)
    if webhook.status == "disabled":
        raise Conflict(_DISABLED)
    marks = ", ".join(f"${number}" for number in range(7, 7 + len(webhook.events)))
    rows = await connection.fetch(
        f"select e.change, d.id from events e left join deliveries d"
        " on d.account_id = e.account_id and d.webhook_id = $2 and d.change = e.change"
        f" where e.account_id = $1 and e.{place} >= $3 and e.{place} <= $4 and e.change >= $5"
        f" and (e.webhook_id = $2 or (e.webhook_id is null and e.type in ({marks}))) order by e.change limit $6",
        account_id, webhook.number, first, last, from_change, MOST_REPLAYED + 1, *webhook.events,
    )  # fmt: skip
    now, queued = now_ms(), rows[:MOST_REPLAYED]
    await connection.execute_many(_RENEW, [(account_id, delivery, now) for _, delivery in queued if delivery])
    await add_deliveries(
        connection, account_id, [(change, webhook.number) for change, delivery in queued if delivery is None], now
    )
    connection.announce()
    more = len(rows) > MOST_REPLAYED
    return {"queued": len(queued), "has_more": more, "next_from_change": rows[MOST_REPLAYED][0] if more else None}


async def replay_all(database: Database, account_id: int, id: str, place: str, first: int, last: int) -> int:
    """The same for a range of any length, in several transactions; returns how many events are due again."""
    queued, begin = 0, 0
    while begin is not None:
        part = partial(replay, account_id=account_id, id=id, place=place, first=first, last=last, from_change=begin)
        answer = await database.write(part, account_id)
        queued, begin = queued + answer["queued"], answer["next_from_change"]
    return queued


async def resend(connection: Connection, account_id: int, id: str) -> None:
    """Make a delivery due again, with a fresh plan. Raises NotFound, and Conflict where its endpoint is disabled."""
    await lock_account(connection, account_id)
    place, webhook_status = await _find_delivery(connection, account_id, id)
    if webhook_status == "disabled":
        raise Conflict(_DISABLED)
    await connection.execute_many(_RENEW, [(*place, now_ms())])
    connection.announce()


_RENEW: Final = (
    "update deliveries set status = 'pending', due_ms = $3, round = round + 1, tries = 0"
    " where account_id = $1 and id = $2"
)

_DELIVERY: Final = (
    "select d.id, d.webhook_id, e.id, e.type, d.status, d.change, d.created_ms, d.due_ms, w.status, w.hold_ms,"
    " a.date_limit from deliveries d"
    " join events e on e.account_id = d.account_id and e.change = d.change"
    " join webhooks w on w.account_id = d.account_id and w.id = d.webhook_id"
    " join accounts a on a.id = d.account_id where d.account_id = $1"
)


async def list_deliveries(
    connection: Connection, account_id: int, id: str, before: int, limit: int
) -> list[dict[str, Any]]:
    """An endpoint's deliveries with a number below `before`, newest first. Raises NotFound."""
    webhook = await webhook_by_id(connection, account_id, id)
    rows = await connection.fetch(
        f"{_DELIVERY} and d.webhook_id = $2 and d.id < $3 order by d.id desc limit $4",
        account_id, webhook.number, before, limit,
    )  # fmt: skip
    return await _with_attempts(connection, account_id, rows)


async def delivery_by_id(connection: Connection, account_id: int, id: str) -> dict[str, Any]:
    """A delivery. Raises NotFound, also where it is another account's."""
    place, _ = await _find_delivery(connection, account_id, id)
    rows = await connection.fetch(f"{_DELIVERY} and d.id = $2", *place)
    return (await _with_attempts(connection, account_id, rows))[0]


async def _find_delivery(connection: Connection, account_id: int, id: str) -> tuple[tuple[int, int], str]:
    """The place of a delivery and the status of its endpoint."""
    place = read_id(DELIVERY, id)
    row = None
    if place and place[0] == account_id:
        row = await connection.fetch_one(
            "select w.status from deliveries d join webhooks w on w.account_id = d.account_id and w.id = d.webhook_id"
            " where d.account_id = $1 and d.id = $2",
            *place,
        )
    if place is None or row is None:
        raise NotFound("There is no delivery of that id.")
    return place, row[0]


async def _with_attempts(connection: Connection, account_id: int, rows: Iterable[Any]) -> list[dict[str, Any]]:
    shown = {row[0]: _delivery(account_id, *row) for row in rows}
    attempts = await connection.fetch_many(
        "select delivery_id, number, at_ms, duration_ms, status, error, answer from attempts"
        " where account_id = $1 and delivery_id = $2",
        [(account_id, number) for number in shown],
    )
    for delivery, number, at_ms, duration, status, error, answer in sorted(attempts, key=lambda row: tuple(row[:2])):
        shown[delivery]["attempts"].append(
            {
                "number": number,
                "at": rfc3339(at_ms),
                "duration_ms": duration,
                "status": status,
                "error": error,
                "answer": answer,
            }
        )
    return list(shown.values())


def _delivery(
    account_id: int, number: int, webhook: int, event_id: str, type: str, status: str, change: int, created_ms: int,
    due_ms: int, webhook_status: str, hold_ms: int, date_limit: str | None,
) -> dict[str, Any]:  # fmt: skip
    pending = status == "pending"
    held = pending and (webhook_status != "active" or (date_limit is not None and date_limit < today().isoformat()))
    return {
        "id": make_id(DELIVERY, account_id, number),
        "webhook_id": make_id(WEBHOOK, account_id, webhook),
        "event_id": event_id,
        "type": type,
        "status": "held" if held else status,
        "change": change,
        "created_at": rfc3339(created_ms),
        "next_attempt_at": rfc3339(max(due_ms, hold_ms)) if pending and not held else None,
        "attempts": [],
    }


async def accounts_with_old_events(connection: Connection, now_ms: int) -> list[int]:
    """Accounts with events of more than 30 days."""
    rows = await connection.fetch(
        "select a.id from accounts a where exists"
        " (select 1 from events e where e.account_id = a.id and e.created_ms < $1) order by a.id",
        now_ms - KEPT_MS,
    )
    return [id for (id,) in rows]


async def forget_old_events(connection: Connection, account_id: int, now_ms: int) -> None:
    """Delete events of more than 30 days with their deliveries."""
    row = await connection.fetch_one(
        "select max(change) from events where account_id = $1 and created_ms < $2", account_id, now_ms - KEPT_MS
    )
    if row is None or row[0] is None:
        return
    await connection.execute(
        "delete from attempts where account_id = $1"
        " and delivery_id in (select id from deliveries where account_id = $1 and change <= $2)",
        account_id, row[0],
    )  # fmt: skip
    await connection.execute("delete from deliveries where account_id = $1 and change <= $2", account_id, row[0])
    await connection.execute("update accounts set forgotten_change = $2 where id = $1", account_id, row[0])
    await connection.execute("delete from events where account_id = $1 and change <= $2", account_id, row[0])
