"""Pages of calls: the three lists. Rules: the call API contract."""

from __future__ import annotations

import msgspec

from ringback.accounts import Account
from ringback.calls.parameters import MOST_INT64, Parameters, day, integer, search, word, words
from ringback.calls.query import ORDERS, CallQuery
from ringback.db import Database
from ringback.times import local_text, utc_text, zone


class MissedCall(msgspec.Struct, frozen=True):
    """A row of the missed list."""

    number: str
    name: str
    date: str


class MissedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the missed list."""

    success: bool = True
    offset: int
    limit: int
    count: int
    data: list[MissedCall]


class Call(msgspec.Struct, frozen=True):
    """A row of the incoming and outgoing lists."""

    phone_number: str
    cached_name: str | None
    call_date_ms: int
    call_datetime_utc: str
    duration_sec: int
    geo_location: str | None
    created_at: str


class Filters(msgspec.Struct, frozen=True):
    """The filters as the strings that were sent."""

    date_from_ms: str | None
    date_to_ms: str | None
    q: str | None


class CallPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the incoming or outgoing list."""

    success: bool = True
    apikey: str | None
    limit: int
    offset: int
    sort_by: str
    sort_dir: str
    filters: Filters
    count: int
    rows: list[Call]


async def missed_page(database: Database, account: Account, parameters: Parameters) -> MissedPage:
    """Missed calls, newest first. Raises InvalidParameter."""
    limit = integer(parameters, "limit", 100, 1, 500)
    offset = integer(parameters, "offset", 0, 0)
    local = zone(account.time_zone)
    first, last = day(parameters, "date_start"), day(parameters, "date_end")
    kinds = ["missed", *sorted(words(parameters, "include", ("rejected", "blocked")))]
    query = CallQuery(account.id, kinds)
    query.between(first, last, local)
    query.search(search(parameters, "search"))
    rows = await query.page(database, "p.number, p.name, c.at_ms", "call_date_ms", "desc", limit, offset)
    data = [MissedCall(number, name or "", local_text(at_ms, local)) for number, name, at_ms in rows]
    return MissedPage(offset=offset, limit=limit, count=len(data), data=data)


async def call_page(
    database: Database, account: Account, kind: str, parameters: Parameters, apikey: str | None
) -> CallPage:
    """Calls of the kind `incoming` or `outgoing`; `apikey` is echoed. Raises InvalidParameter."""
    limit = integer(parameters, "limit", 50, 1, 200)
    offset = integer(parameters, "offset", 0, 0)
    sort_by = word(parameters, "sort_by", tuple(ORDERS))
    sort_dir = word(parameters, "sort_dir", ("desc", "asc"), any_case=True)
    filters = Filters(parameters.get("date_from_ms"), parameters.get("date_to_ms"), search(parameters, "q"))
    query = CallQuery(account.id, [kind])
    if filters.date_from_ms is not None:
        query.add("c.at_ms >= ?", integer(parameters, "date_from_ms", 0, -MOST_INT64 - 1))
    if filters.date_to_ms is not None:
        query.add("c.at_ms <= ?", integer(parameters, "date_to_ms", 0, -MOST_INT64 - 1))
    query.search(filters.q)
    columns = "p.number, p.name, c.at_ms, c.duration_s, p.geo_location, c.created_ms"
    rows = [
        Call(number, name, at_ms, utc_text(at_ms), duration, geo_location, utc_text(created_ms))
        for number, name, at_ms, duration, geo_location, created_ms in await query.page(
            database, columns, sort_by, sort_dir, limit, offset
        )
    ]
    return CallPage(
        apikey=apikey, limit=limit, offset=offset, sort_by=sort_by, sort_dir=sort_dir, filters=filters,
        count=len(rows), rows=rows,
    )  # fmt: skip
