"""The filters of `/v1/calls` and of the dashboard's list, and the pages that they give."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import msgspec

from ringback.accounts import Account
from ringback.calls.contract import KINDS, MOST_INT, PRESENTATIONS
from ringback.calls.parameters import Parameters, integer, moment_or_day, search, word, words
from ringback.calls.query import CallQuery, moment_clauses
from ringback.db import Connection, Database
from ringback.errors import InvalidParameter
from ringback.ids import CALL, DEVICE, NUMBER, make_id, read_id
from ringback.text import e164
from ringback.times import QUARTER_MS, rfc3339, zone

MOST_NUMBER: Final = 10**17
"""Beyond the number of any call."""

MOST_COUNTED: Final = 10_000
"""A total that no stored count gives is counted up to this."""

_KIND_WORDS: Final = {number: word for word, number in KINDS.items()}
_PRESENTATION_WORDS: Final = {number: word for word, number in PRESENTATIONS.items()}

COLUMNS: Final = (
    "c.account_id, c.id, c.device_id, c.kind, p.number, p.name, p.geo_location, c.at_ms, c.precise, c.duration_s,"
    " c.presentation, c.country_iso, c.sim_id, c.type_raw, c.source, c.created_ms, c.party_id, c.key_hash,"
    " c.updated_ms, c.change"
)


class ListedCall(msgspec.Struct, frozen=True):
    """A call with all that pages show of it."""

    account_id: int
    number_of_call: int
    device_number: int
    kind_number: int
    number: str
    name: str | None
    geo_location: str | None
    at_ms: int
    precise: int
    duration_sec: int
    presentation_number: int | None
    country_iso: str | None
    sim_id: str | None
    type_raw: str | None
    source: str | None
    created_ms: int
    party_id: int
    key_hash: int
    updated_ms: int
    change: int

    @property
    def id(self) -> str:
        """The id as others see it."""
        return make_id(CALL, self.account_id, self.number_of_call)

    @property
    def number_id(self) -> str:
        """The id of its number; other parties of the number have others, which lead to the same page."""
        return make_id(NUMBER, self.account_id, self.party_id)

    @property
    def kind(self) -> str:
        """Its type as a word."""
        return _KIND_WORDS[self.kind_number]

    @property
    def presentation(self) -> str | None:
        """How its number may be shown, as a word."""
        return _PRESENTATION_WORDS.get(self.presentation_number or 0)

    def to_dict(self) -> dict[str, Any]:
        """The call as `/v1` answers it."""
        return {
            "id": self.id,
            "device_id": make_id(DEVICE, self.account_id, self.device_number),
            "kind": self.kind,
            "number": self.number,
            "number_e164": e164(self.number, self.country_iso),
            "name": self.name,
            "geo_location": self.geo_location,
            "started_at": rfc3339(self.at_ms),
            "started_at_ms": self.at_ms,
            "precision": "ms" if self.precise else "s",
            "duration_sec": self.duration_sec,
            "presentation": self.presentation,
            "country_iso": self.country_iso,
            "sim_id": self.sim_id,
            "type_raw": self.type_raw,
            "source": self.source,
            "created_at": rfc3339(self.created_ms),
            "updated_at": rfc3339(self.updated_ms),
            "change": self.change,
        }


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the calls; None and empty: no matter."""

    kinds: list[str] = []
    devices: list[int] = []
    number: str | None = None
    text: str | None = None
    first: date | int | None = None
    last: date | int | None = None
    """From a moment (ms) on or before it, or days of the account's zone, both included."""
    shortest: int | None = None
    longest: int | None = None
    sim: str | None = None
    weekday: int | None = None
    hour: int | None = None
    not_called_back: bool = False
    oldest_first: bool = False
    key_hash: int | None = None

    @property
    def are_counted(self) -> bool:
        """Whether the stored counts of quarters of an hour give the total."""
        others = (self.number, self.text, self.shortest, self.longest, self.sim, self.weekday, self.hour, self.key_hash)
        whole = all(not isinstance(end, int) or end % QUARTER_MS == 0 for end in (self.first, self.last))
        return whole and not self.devices and not self.not_called_back and others == (None,) * len(others)


def read_filters(parameters: Parameters, account: Account) -> Filters:
    """The filters that were sent. Raises InvalidParameter."""
    return Filters(
        kinds=sorted(words(parameters, "kind", tuple(KINDS))),
        devices=_devices(parameters, account),
        number=search(parameters, "number"),
        text=search(parameters, "q"),
        first=moment_or_day(parameters, "from"),
        last=moment_or_day(parameters, "to"),
        shortest=_whole(parameters, "min_duration", 0, MOST_INT),
        longest=_whole(parameters, "max_duration", 0, MOST_INT),
        sim=search(parameters, "sim"),
        weekday=_whole(parameters, "weekday", 1, 7),
        hour=_whole(parameters, "hour", 0, 23),
        not_called_back=word(parameters, "open", ("0", "1")) == "1",
        oldest_first=word(parameters, "sort", ("-started_at", "started_at")) == "started_at",
    )


def _whole(parameters: Parameters, name: str, least: int, most: int) -> int | None:
    return None if parameters.get(name) is None else integer(parameters, name, 0, least, most)


def _devices(parameters: Parameters, account: Account) -> list[int]:
    found = []
    for id in filter(None, (one.strip() for one in (parameters.get("device") or "").split(","))):
        place = read_id(DEVICE, id)
        if place is None or place[0] != account.id:
            raise InvalidParameter("device must be ids of the account's devices, separated by commas.")
        found.append(place[1])
    return sorted(set(found))


class Page(msgspec.Struct, frozen=True):
    """Calls, and how many there are in all; `exact` is False where only MOST_COUNTED were counted."""

    calls: list[ListedCall]
    total: int
    exact: bool


async def filtered_page(database: Database, account: Account, filters: Filters, limit: int, offset: int) -> Page:
    """A page of the calls that are found, with their total."""
    query = await filtered_query(database, account, filters)
    direction = "asc" if filters.oldest_first else "desc"
    rows = await query.page(database, COLUMNS, "call_date_ms", direction, limit, offset)
    return Page([ListedCall(*row) for row in rows], *await total_of(database, account, filters))


async def total_of(database: Database, account: Account, filters: Filters) -> tuple[int, bool]:
    """How many calls are found, and whether that is exact: some are counted up to MOST_COUNTED alone."""
    if filters.are_counted:
        return await _stored_total(database, account, filters), True
    query = await filtered_query(database, account, filters)
    found = await query.count(database, MOST_COUNTED)
    return min(found, MOST_COUNTED), found <= MOST_COUNTED


async def calls_after(
    database: Database, account: Account, filters: Filters, last: tuple[int, ...] | None, limit: int
) -> tuple[list[ListedCall], tuple[int, int] | None]:
    """At most so many calls that follow a position, by date, and the position after them; None at the end.

    A position is a moment (ms) and the number of a call. A page ends between two seconds where it can, since a call
    may still move within its second, when its milliseconds become known.
    """
    query = await filtered_query(database, account, filters)
    newest_first = not filters.oldest_first
    after = (last[0], last[1]) if last else None
    rows = await query.by_date_after(database, COLUMNS, after, limit + 1, newest_first=newest_first)
    found = [ListedCall(*row) for row in rows]
    if len(found) <= limit:
        return found, None
    second = found[limit].at_ms // 1_000
    page = [call for call in found[:limit] if call.at_ms // 1_000 != second]
    if not page:
        return found[:limit], (found[limit - 1].at_ms, found[limit - 1].number_of_call)
    return page, (second * 1_000 + 1_000, 0) if newest_first else (second * 1_000 - 1, MOST_NUMBER)


async def find_call(connection: Connection, account_id: int, id: str) -> ListedCall | None:
    """The call of an id."""
    place = read_id(CALL, id)
    if place is None or place[0] != account_id:
        return None
    row = await connection.fetch_one(
        f"select {COLUMNS} from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
        " where c.account_id = $1 and c.id = $2",
        *place,
    )
    return ListedCall(*row) if row else None


async def filtered_query(database: Database, account: Account, filters: Filters) -> CallQuery:
    """The query of the calls that the filters let through."""
    local = zone(account.time_zone)
    query = CallQuery(account.id, filters.kinds)
    query.between(filters.first, filters.last, local)
    if filters.devices:
        query.add(f"c.device_id in ({', '.join('?' for _ in filters.devices)})", *filters.devices)
    if filters.shortest is not None:
        query.add("c.duration_s >= ?", filters.shortest)
    if filters.longest is not None:
        query.add("c.duration_s <= ?", filters.longest)
    if filters.sim is not None:
        query.add("c.sim_id = ?", filters.sim)
    if filters.number is not None:
        query.number(filters.number)
    if filters.key_hash is not None:
        query.key(filters.key_hash)
    if filters.not_called_back:
        query.not_called_back()
    if filters.weekday is not None or filters.hour is not None:
        bounds = await database.read(lambda c: _bounds(c, account.id))
        query.local_time(filters.weekday, filters.hour, *bounds, local)
    query.search(filters.text)
    return query


async def _bounds(connection: Connection, account_id: int) -> tuple[int, int]:
    """The moments of the account's first and last call; both the same where there is none."""
    row = await connection.fetch_one(
        "select (select min(at_ms) from calls where account_id = $1),"
        " (select max(at_ms) from calls where account_id = $1)",
        account_id,
    )
    return (row[0] or 0, row[1] or 0) if row else (0, 0)


async def _stored_total(database: Database, account: Account, filters: Filters) -> int:
    values: list[int] = [account.id]
    clauses = ["account_id = $1"]
    if filters.kinds:
        values += [KINDS[kind] for kind in filters.kinds]
        clauses.append(f"kind in ({', '.join(f'${n + 2}' for n in range(len(filters.kinds)))})")
    for clause, moments in moment_clauses(filters.first, filters.last, zone(account.time_zone)):
        for moment in moments:
            values.append(moment // QUARTER_MS)
            clause = clause.replace("?", f"${len(values)}", 1)
        clauses.append(clause.format(at="quarter"))
    sql = f"select coalesce(sum(n), 0) from quarters where {' and '.join(clauses)}"
    row = await database.read_long(lambda connection: connection.fetch_one(sql, *values))
    return int(row[0]) if row else 0
