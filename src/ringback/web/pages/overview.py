"""`/`: what needs me this morning, and how the last days went."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.datastructures import State

from ringback.accounts import Account
from ringback.calls.contract import KINDS
from ringback.calls.filters import Filters, filtered_page
from ringback.calls.reports import (
    BUSY_DAYS,
    DAYS,
    HEAT_WEEKS,
    Busy,
    busiest_numbers,
    counts_by_day,
    heat_map,
    usual_counts,
)
from ringback.db import Connection, Database
from ringback.devices import Device, list_devices
from ringback.proof import list_gaps
from ringback.times import now_ms, since_day, zone
from ringback.web.pages.calls import KIND_NAMES, is_expired
from ringback.web.pages.formats import Formats
from ringback.web.pages.frame import PageRequest, language_of, page, render

SHOWN: Final = ("missed", "incoming", "outgoing")
OPEN_ROWS: Final = 6
RINGS: Final = ("incoming", "missed")
"""The kinds of the heat map: when it rings."""


class Figures(msgspec.Struct):
    """What the overview counts."""

    today: dict[str, int]
    usual: dict[str, float]
    days: dict[date, dict[int, int]]
    heat: dict[tuple[int, int], int]
    busiest: list[Busy]
    silent: list[Device]
    gaps: int
    has_devices: bool


@page("/")
async def overview(request: PageRequest, state: State) -> Response[Any]:
    """The first page."""
    account: Account = request.state.account
    if is_expired(account):
        return render(request, "expired.html")
    database: Database = state.database
    today = datetime.fromtimestamp(now_ms() / 1_000, zone(account.time_zone)).date()
    first = today - timedelta(days=DAYS - 1)
    figures = await database.read_long(lambda c: _count(c, account, first, today))
    unanswered = await filtered_page(
        database, account, Filters(not_called_back=True, first=first, last=today), OPEN_ROWS, 0
    )
    any_call = bool(figures.days) or (await filtered_page(database, account, Filters(), 1, 0)).total > 0
    if not any_call and not figures.has_devices:
        return render(request, "welcome.html")
    show = Formats(language_of(request), account.time_zone)
    return render(
        request, "overview.html", figures=figures, unanswered=unanswered, first=first, today=today, days=DAYS,
        heat_first=_heat_first(today), busy_first=_busy_first(today), busy_days=BUSY_DAYS, shown=SHOWN,
        kinds=KIND_NAMES, chart=_chart(figures, first, today, show), totals=_totals(figures, first),
        rings=",".join(RINGS), most=max(figures.heat.values(), default=0),
    )  # fmt: skip


def _busy_first(today: date) -> date:
    return today - timedelta(days=BUSY_DAYS - 1)


def _heat_first(today: date) -> date:
    return today - timedelta(weeks=HEAT_WEEKS) + timedelta(days=1)


async def _count(connection: Connection, account: Account, first: date, today: date) -> Figures:
    now = now_ms()
    local = zone(account.time_zone)
    days = await counts_by_day(connection, account, first, today)
    usual = await usual_counts(connection, account, now)
    end = since_day(today + timedelta(days=1), local)[-1][0]
    devices = await list_devices(connection, account.id)
    gaps = await list_gaps(connection, account.id)
    return Figures(
        today={kind: days.get(today, {}).get(KINDS[kind], 0) for kind in SHOWN},
        usual={kind: usual[KINDS[kind]] for kind in SHOWN},
        days=days,
        heat=await heat_map(connection, account, _heat_first(today), today, [KINDS[kind] for kind in RINGS]),
        busiest=await busiest_numbers(connection, account, since_day(_busy_first(today), local)[0][0], end),
        silent=[device for device in devices if device.counts and device.status(now) == "silent"],
        gaps=sum(gap["closed_at"] is None for some in gaps.values() for gap in some),
        has_devices=any(device.counts for device in devices),
    )


def _totals(figures: Figures, first: date) -> dict[str, int]:
    """Calls of the shown days by kind."""
    return {
        kind: sum(counts.get(KINDS[kind], 0) for day, counts in figures.days.items() if day >= first) for kind in SHOWN
    }


def _chart(figures: Figures, first: date, today: date, show: Formats) -> dict[str, Any]:
    """What the script draws: each day's name and its counts by kind."""
    days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    return {
        "days": [day.isoformat() for day in days],
        "names": [show.day(day) for day in days],
        **{kind: [figures.days.get(day, {}).get(KINDS[kind], 0) for day in days] for kind in SHOWN},
    }
