"""A SELECT of calls, put together clause by clause."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from ringback.calls.contract import KINDS
from ringback.db import Database, Row
from ringback.text import digits, fold, number_key_hash, number_query_digits
from ringback.times import DAY_MS, HOUR_MS, day_after, offsets, since_day

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

HIDDEN: Final = number_key_hash("")
"""The hash of a hidden caller's key."""

_TELLING_DIGITS: Final = 7
_FROM_MONDAY_MS: Final = 3 * DAY_MS
"""1970 began on a Thursday."""

SHALLOW: Final = 1_000
"""Up to this offset a page that an index serves is short work."""


def moment_clauses(
    first: date | int | None, last: date | int | None, local: ZoneInfo
) -> list[tuple[str, tuple[int, ...]]]:
    """Conditions on the moment `{at}` with their values (ms). Where a local day begins twice, there are several."""
    found: list[tuple[str, tuple[int, ...]]] = []
    if isinstance(first, int):
        found.append(("{at} >= ?", (first,)))
    elif first:
        stretches = since_day(first, local)
        found.append(("{at} >= ?", (stretches[0][0],)))
        found += [("not ({at} >= ? and {at} < ?)", (end or 0, start)) for (_, end), (start, _) in pairwise(stretches)]
    if isinstance(last, int):
        found.append(("{at} < ?", (last,)))
    elif last:
        stretches = since_day(day_after(last), local)
        found.append(("{at} < ?", (stretches[-1][0],)))
        found += [("not ({at} >= ? and {at} < ?)", (start, end or 0)) for start, end in stretches[:-1]]
    return found


class CallQuery:
    """A SELECT of calls, put together clause by clause, each with its values."""

    def __init__(self, account_id: int, kinds: list[str]) -> None:
        """Calls of some kinds; of all where none is given."""
        self.account_id = account_id
        self._values: list[Any] = []
        self._clauses: list[str] = []
        self._serves_index = len(kinds) == 1
        self.add("c.account_id = ?", account_id)
        marks = ", ".join("?" for _ in kinds)
        if kinds:
            # The plus keeps SQLite to the order of time: it would sort all calls of several kinds.
            clause = f"+c.kind in ({marks})" if len(kinds) > 1 else "c.kind = ?"
            self.add(clause, *(KINDS[kind] for kind in kinds))

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

    def between(self, first: date | int | None, last: date | int | None, local: ZoneInfo) -> None:
        """Calls from a moment (ms) on, or before one; or of local days, both included."""
        for clause, values in moment_clauses(first, last, local):
            self.add(clause.format(at="c.at_ms"), *values)

    def local_time(self, weekday: int | None, hour: int | None, first_ms: int, last_ms: int, local: ZoneInfo) -> None:
        """Calls of a weekday (1 is Monday) or an hour of the zone's clock; none lies outside the two moments."""
        parts: list[str] = []
        values: list[int] = []
        for start, end, offset in offsets(first_ms, last_ms, local):
            part = "c.at_ms >= ? and c.at_ms < ?"
            values += [start, end]
            if weekday is not None:
                part += f" and (c.at_ms + ?) / {DAY_MS} % 7 = ?"
                values += [offset + _FROM_MONDAY_MS, weekday - 1]
            if hour is not None:
                part += f" and (c.at_ms + ?) / {HOUR_MS} % 24 = ?"
                values += [offset, hour]
            parts.append(f"({part})")
        self.add(f"({' or '.join(parts)})", *values)
        self._serves_index = False

    def number(self, text: str) -> None:
        """Calls with a number: the same digits, or from 7 digits on one that ends with the other's."""
        figures = digits(text)
        short = figures.lstrip("0")
        clause = "number_fold = ?"
        values: list[Any] = [fold(text)]
        if figures:
            clause, values = "digits = ?", [figures]
        if len(short) >= _TELLING_DIGITS:
            clause += " or digits like ? or (length(ltrim(digits, '0')) >= ? and ? like '%' || ltrim(digits, '0'))"
            values = [*values, f"%{short}", _TELLING_DIGITS, short]
        self.add(f"c.party_id in (select id from parties where account_id = $1 and ({clause}))", *values)
        self._serves_index = False

    def key(self, key_hash: int) -> None:
        """Calls with the number of a key."""
        self.add("c.key_hash = ?", key_hash)

    def not_called_back(self) -> None:
        """Missed calls of callers who are not hidden and whom nobody has spoken with or called since."""
        self.add(
            # No `not exists`: PostgreSQL would join all calls with all, to show fifty.
            "c.kind = ? and c.key_hash <> ? and (select 1 from calls l where l.account_id = c.account_id"
            " and l.key_hash = c.key_hash and l.at_ms > c.at_ms and l.kind in (?, ?) limit 1) is null",
            KINDS["missed"], HIDDEN, KINDS["incoming"], KINDS["outgoing"],
        )  # fmt: skip
        self._serves_index = False

    async def count(self, database: Database, most: int) -> int:
        """How many calls are found; one more than `most` where there are more."""
        place = len(self._values) + 1
        sql = (
            f"select count(*) from (select 1 from calls c where {' and '.join(self._clauses)} limit ${place}) as found"
        )
        row = await database.read_long(lambda connection: connection.fetch_one(sql, *self._values, most + 1))
        return int(row[0]) if row else 0

    async def by_date_after(
        self, database: Database, columns: str, last: tuple[int, int] | None, limit: int, *, newest_first: bool = False
    ) -> list[Row]:
        """The calls that follow one, given by its moment (ms) and number, in the order of time."""
        sql, values = self.after_sql(columns, last, newest_first=newest_first)
        return await database.read_long(lambda connection: connection.fetch(sql, *values, limit))

    def after_sql(
        self, columns: str, last: tuple[int, int] | None, *, newest_first: bool = False
    ) -> tuple[str, list[Any]]:
        """The statement of these calls, and its values save the last, which is the limit."""
        values, clauses = [*self._values], [*self._clauses]
        order, sign = ("desc", "<") if newest_first else ("asc", ">")
        if last:
            clauses.append(f"(c.at_ms, c.id) {sign} (${len(values) + 1}, ${len(values) + 2})")
            values += last
        sql = (
            f"select {columns} from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
            f" where {' and '.join(clauses)} order by c.at_ms {order}, c.id {order} limit ${len(values) + 1}"
        )
        return sql, values

    async def page(
        self, database: Database, columns: str, sort_by: str, sort_dir: str, limit: int, offset: int
    ) -> list[Row]:
        """A page of the calls found, in an order that is total."""
        order = ORDERS[sort_by].format(direction=sort_dir, nulls=NULLS[sort_dir])
        place = len(self._values)
        found = f"where {' and '.join(self._clauses)} order by {order} limit ${place + 1} offset ${place + 2}"
        calls = "calls c"
        by_call = " p." not in f" {order}"
        if by_call and offset > SHALLOW:
            # What is skipped is not joined: with all of its columns, that took twenty times as long.
            page = f"(select c.account_id, c.id from calls c {found}) as page"
            calls, found = (
                f"{page} join calls c on c.account_id = page.account_id and c.id = page.id",
                f"order by {order}",
            )
        sql = (
            f"select {columns} from {calls} join parties p on p.account_id = c.account_id and p.id = c.party_id {found}"
        )
        short = self._serves_index and offset <= SHALLOW and by_call
        read = database.read if short else database.read_long
        return await read(lambda connection: connection.fetch(sql, *self._values, limit, offset))


def _pattern(text: str) -> str:
    """The LIKE pattern that finds the text anywhere, its own `%`, `_` and `\\` as ordinary characters."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return f"%{text}%"
