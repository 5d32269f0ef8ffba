"""Counts for the overview; each figure is the number of calls that the list shows under the same filters."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final

import msgspec

from ringback.accounts import Account
from ringback.calls.contract import KINDS
from ringback.calls.query import HIDDEN
from ringback.db import Connection, Row
from ringback.ids import NUMBER, make_id
from ringback.times import DAY_MS, HOUR_MS, QUARTER_MS, offsets, since_day, zone

DAYS: Final = 30
"""How far back the overview looks."""

HEAT_WEEKS: Final = 13
USUAL_DAYS: Final = 8
BUSIEST: Final = 5

BUSY_DAYS: Final = 7
"""Fewer: no stored count knows numbers, so these calls are read one by one."""

_ALL_KINDS: Final = f"account_id = $1 and kind in ({', '.join(map(str, KINDS.values()))})"
"""Named one by one, so that the index leads to the days of each; else the whole account is walked."""

_QUARTERS_A_DAY: Final = DAY_MS // QUARTER_MS
_QUARTERS_AN_HOUR: Final = HOUR_MS // QUARTER_MS


class Busy(msgspec.Struct, frozen=True):
    """A number that calls or is called much, and the id of its page."""

    id: str
    number: str
    name: str | None
    count: int


async def counts_by_day(
    connection: Connection, account: Account, first: date, last: date
) -> dict[date, dict[int, int]]:
    """Calls of each local day by kind; days without calls are missing."""
    found: dict[date, dict[int, int]] = defaultdict(dict)
    beginning = date(1970, 1, 1)
    for start, end, offset in _offsets(account, first, last):
        rows = await connection.fetch(
            f"select (quarter + $4) / {_QUARTERS_A_DAY} as day, kind, sum(n) from quarters"
            f" where {_ALL_KINDS} and quarter >= $2 and quarter < $3 group by 1, kind",
            account.id, start, end, offset,
        )  # fmt: skip
        for number, kind, count in rows:
            day = beginning + timedelta(days=number)
            found[day][kind] = found[day].get(kind, 0) + int(count)
    return found


async def heat_map(
    connection: Connection, account: Account, first: date, last: date, kinds: list[int]
) -> dict[tuple[int, int], int]:
    """Calls of some kinds by weekday (1 is Monday) and hour of the account's zone."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    marks = ", ".join(f"${n + 5}" for n in range(len(kinds)))
    for start, end, offset in _offsets(account, first, last):
        rows = await connection.fetch(
            f"select (quarter + $4) / {_QUARTERS_AN_HOUR} % 168 as hour, sum(n) from quarters"
            f" where account_id = $1 and kind in ({marks}) and quarter >= $2 and quarter < $3 group by 1",
            account.id, start, end, offset, *kinds,
        )  # fmt: skip
        for hours, count in rows:
            weekday, hour = divmod(int(hours) + 3 * 24, 24)  # 1970 began on a Thursday
            found[weekday % 7 + 1, hour] += int(count)
    return found


def _offsets(account: Account, first: date, last: date) -> list[tuple[int, int, int]]:
    """Stretches of one UTC offset in local days, both included, as (start, end, offset), all in quarters of an hour."""
    local = zone(account.time_zone)
    start_ms = since_day(first, local)[0][0]
    end_ms = since_day(last + timedelta(days=1), local)[-1][0]
    return [
        (start // QUARTER_MS, -(-end // QUARTER_MS), offset // QUARTER_MS)
        for start, end, offset in offsets(start_ms, end_ms - 1, local)
    ]


async def usual_counts(connection: Connection, account: Account, now_ms: int) -> dict[int, float]:
    """By kind, the median of the last 8 same weekdays up to this time of day."""
    local = zone(account.time_zone)
    now = datetime.fromtimestamp(now_ms / 1_000, local)
    counts: dict[int, list[int]] = defaultdict(list)
    for weeks in range(1, USUAL_DAYS + 1):
        day = now.date() - timedelta(weeks=weeks)
        start = since_day(day, local)[0][0] // QUARTER_MS
        until = datetime.combine(day, now.time(), local).timestamp() * 1_000
        rows = await connection.fetch(
            f"select kind, sum(n) from quarters where {_ALL_KINDS} and quarter >= $2 and quarter < $3"
            " group by kind",
            account.id, start, int(until) // QUARTER_MS,
        )  # fmt: skip
        by_kind = {kind: int(count) for kind, count in rows}
        for kind in KINDS.values():
            counts[kind].append(by_kind.get(kind, 0))
    return {kind: median(some) for kind, some in counts.items()}


async def busiest_numbers(connection: Connection, account: Account, start_ms: int, end_ms: int) -> list[Busy]:
    """The numbers with the most calls between two moments, hidden ones left out."""
    rows = await connection.fetch(
        "select key_hash, count(*), max(party_id) from calls where account_id = $1 and at_ms >= $2 and at_ms < $3"
        f" and key_hash <> $4 group by key_hash order by count(*) desc, key_hash limit {BUSIEST}",
        account.id, start_ms, end_ms, HIDDEN,
    )  # fmt: skip
    texts = {row[0]: row for row in await parties(connection, account.id, [row[2] for row in rows])}
    return [
        Busy(make_id(NUMBER, account.id, party_id), texts[party_id][1], texts[party_id][2], count)
        for _, count, party_id in rows
    ]


async def parties(connection: Connection, account_id: int, ids: list[int]) -> list[Row]:
    """Id, number and name of parties."""
    return await connection.fetch_many(
        "select id, number, name from parties where account_id = $1 and id = $2", [(account_id, id) for id in ids]
    )
