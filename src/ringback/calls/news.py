"""What is told to others of a call. Rules: the contract of webhooks, "Events"."""

from __future__ import annotations

from typing import Any, Final

from ringback.calls.contract import KINDS
from ringback.calls.filters import COLUMNS, ListedCall
from ringback.calls.matching import Call
from ringback.db import Connection
from ringback.events import News, add_events
from ringback.ids import CALL, DEVICE, make_id
from ringback.times import DAY_MS, rfc3339, utc_text

TOLD_KINDS: Final = {KINDS[word]: f"call.{word}" for word in ("missed", "incoming", "outgoing")}
"""The kinds of which others are told, and the event when a call first becomes one."""

NEWS_MS: Final = 7 * DAY_MS
"""An older call is history, and nobody is told."""


def kinds_before(call: Call) -> int:
    """The kinds that a call had before its present one, as Call keeps them, with the one that the batch has changed."""
    if call.counted is None or call.counted[0] == call.facts.kind:
        return call.earlier_kinds
    return call.earlier_kinds | 1 << call.counted[0]


def event_type(call: Call) -> str | None:
    """Which event a batch made of a call; None where it made none."""
    kind = call.facts.kind
    if call.counted is None:
        return TOLD_KINDS.get(kind)
    before = call.counted[0]
    if kind != before and kind in TOLD_KINDS and not kinds_before(call) & 1 << kind:
        return TOLD_KINDS[kind]
    told = kind in TOLD_KINDS or before in TOLD_KINDS
    return "call.updated" if call.changed and told else None


async def told_since(connection: Connection, account_id: int, device_id: int, now_ms: int, *, all: bool) -> int:
    """From which moment (ms) on calls of a phone are news: a week ago, or when the phone was last complete."""
    if all:
        return 0
    row = await connection.fetch_one(
        "select synced_through_ms from devices where account_id = $1 and id = $2", account_id, device_id
    )
    week_ago = now_ms - NEWS_MS
    complete = row[0] if row else None
    return week_ago if complete is None else min(week_ago, complete + 1)


async def tell_of_calls(connection: Connection, account_id: int, told: list[tuple[int, int, str]], now_ms: int) -> None:
    """Keep the events of calls, given as (number of the call, the event's change, its type)."""
    if not told:
        return
    rows = await connection.fetch_many(
        f"select {COLUMNS} from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
        " where c.account_id = $1 and c.id = $2",
        [(account_id, number) for number, _, _ in told],
    )
    calls = {call.number_of_call: call for call in (ListedCall(*row) for row in rows)}
    news = [News(change, type, calls[number].at_ms, _call_data(calls[number])) for number, change, type in told]
    await add_events(connection, account_id, news, now_ms)


async def tell_of_deletion(
    connection: Connection, account_id: int, number: int, device_id: int, change: int, now_ms: int
) -> None:
    """Keep the event of a call that was deleted."""
    data = {
        "guid": make_id(CALL, account_id, number),
        "device_id": make_id(DEVICE, account_id, device_id),
        "deleted_at": rfc3339(now_ms),
    }
    await add_events(connection, account_id, [News(change, "call.deleted", now_ms, data)], now_ms)


def _call_data(call: ListedCall) -> dict[str, Any]:
    shown = call.to_dict()
    return {
        "guid": call.id,
        "number": call.number,
        "name": call.name or "",
        "duration_seconds": call.duration_sec,
        "device_id": shown["device_id"],
        "call_at": utc_text(call.at_ms),
        "call": shown,
    }
