"""Pages of calls: the three lists. Rules: the call API contract."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import msgspec

from ringback.accounts import Account
from ringback.calls.contract import KINDS
from ringback.calls.parameters import MOST_INT64, Parameters, day, integer, search, word, words
from ringback.db import Database, Row
from ringback.text import fold, number_query_digits
from ringback.times import day_after, local_text, since_day, utc_text, zone

_BY_DATE: Final = "c.at_ms {direction}, c.id {direction}"
_THEN_NEWEST: Final = "c.at_ms desc, c.id desc"

ORDERS: Final = {
    "call_date_ms": _BY_DATE,
    "call_datetime_utc": _BY_DATE,
    "duration_sec": f"c.duration_s {{direction}}, {_THEN_NEWEST}",
    "phone_number": f"p.number_fold {{direction}}, {_THEN_NEWEST}",
    "created_at": "c.id {direction}",
    "cached_name": f"p.name_fold {{direction}} nulls {{nulls}}, {_THEN_NEWEST}",
    "geo_location": f"p.geo_fold {{direction}} nulls {{nulls}}, {_THEN_NEWEST}",
}
"""What `sort_by` may be, and its order. An index serves those that name no nulls."""

NULLS: Final = {"asc": "first", "desc": "last"}

SHALLOW: Final = 1_000
"""Up to this offset a page that an index serves is short work."""


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
    query = _Query(account.id, kinds)
    if first:
        stretches = since_day(first, local)
        query.add("c.at_ms >= ?", stretches[0][0])
        for (_, end), (start, _) in pairwise(stretches):
            query.add("not (c.at_ms >= ? and c.at_ms < ?)", end, start)
    if last:
        stretches = since_day(day_after(last), local)
        query.add("c.at_ms < ?", stretches[-1][0])
        for start, end in stretches[:-1]:
            query.add("not (c.at_ms >= ? and c.at_ms < ?)", start, end)
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
    query = _Query(account.id, [kind])
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


class _Query:
    """A SELECT of calls, put together clause by clause, each with its values."""

    def __init__(self, account_id: int, kinds: list[str]) -> None:
        self._values: list[Any] = []
        self._clauses: list[str] = []
        self._serves_index = len(kinds) == 1
        self.add("c.account_id = ?", account_id)
        marks = ", ".join("?" for _ in kinds)
        self.add(f"c.kind in ({marks})" if len(kinds) > 1 else "c.kind = ?", *(KINDS[kind] for kind in kinds))

    def add(self, clause: str, *values: Any) -> None:
        """Add a condition; each `?` in it is one of the values."""
        for value in values:
            self._values.append(value)
            clause = clause.replace("?", f"${len(self._values)}", 1)
        self._clauses.append(clause)

    def search(self, text: str | None) -> None:
        """Find the text in numbers and names; a part of a number in any spelling."""
        pattern = _pattern(fold(text or ""))
        if pattern == "%%":
            return
        # The account's parties are searched once, not once for each of its calls.
        digits = number_query_digits(text or "")
        found = "number_fold like ? escape '\\' or name_fold like ? escape '\\'" + (
            " or digits like ?" if digits else ""
        )
        values = (pattern, pattern, *([f"%{digits}%"] if digits else []))
        self.add(f"c.party_id in (select id from parties where account_id = $1 and ({found}))", *values)
        self._serves_index = False

    async def page(
        self, database: Database, columns: str, sort_by: str, sort_dir: str, limit: int, offset: int
    ) -> list[Row]:
        """A page of the calls found, in an order that is total."""
        order = ORDERS[sort_by].format(direction=sort_dir, nulls=NULLS[sort_dir])
        place = len(self._values)
        sql = (
            f"select {columns} from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
            f" where {' and '.join(self._clauses)} order by {order} limit ${place + 1} offset ${place + 2}"
        )
        short = self._serves_index and offset <= SHALLOW and " p." not in f" {order}"
        read = database.read if short else database.read_long
        return await read(lambda connection: connection.fetch(sql, *self._values, limit, offset))


def _pattern(text: str) -> str:
    """The LIKE pattern that finds the text anywhere, its own `%`, `_` and `\\` as ordinary characters."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return f"%{text}%"
