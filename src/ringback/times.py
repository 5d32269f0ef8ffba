"""Moments as they come in and go out. Inside they are milliseconds since 1970 in UTC."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ringback.errors import InvalidParameter

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
_DAY_S: Final = 86_400
_TWO_DIGITS: Final = [f"{number:02}" for number in range(60)]
QUARTER_MS: Final = 900_000
"""The offset of every time zone is a multiple of it, since 1990."""
_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def now_ms() -> int:
    """The present moment."""
    return time.time_ns() // 1_000_000


def utc_text(ms: int) -> str:
    """`2026-02-24 12:49:39`, in UTC."""
    day, second = divmod(ms // 1_000, _DAY_S)
    return f"{_day_text(day)} {_clock_text(second)}"


def local_text(ms: int, zone: tzinfo) -> str:
    """`2026-02-24 12:49:39`, in a time zone."""
    return datetime.fromtimestamp(ms // 1_000, zone).isoformat(" ")[:19]


def rfc3339(ms: int) -> str:
    """`2026-02-24T12:49:39.000Z`."""
    second, ms = divmod(ms, 1_000)
    day, second = divmod(second, _DAY_S)
    return f"{_day_text(day)}T{_clock_text(second)}.{ms:03}Z"


@lru_cache(maxsize=10_000)
def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_S, UTC).date().isoformat()


def _clock_text(second: int) -> str:
    # Pages and exports are full of these, and `strftime` would take a third of all that a page costs.
    return f"{_TWO_DIGITS[second // 3_600]}:{_TWO_DIGITS[second // 60 % 60]}:{_TWO_DIGITS[second % 60]}"


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def parse_day(text: str) -> date | None:
    """A day written as YYYY-MM-DD in ASCII; None where it is none of the calendar."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_moment(text: str) -> int | None:
    """A moment as RFC 3339 writes it, in ms; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.timestamp() * 1_000) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1_000)
def zone(name: str) -> ZoneInfo:
    """The time zone of a name such as Europe/Paris. Raises InvalidParameter."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter("There is no such time zone; take a name such as Europe/Paris or UTC.") from None


FIRST_DAY: Final = date(1980, 1, 1)
LAST_DAY: Final = date(2200, 1, 1)
"""Days beyond these are taken as these: no call that is accepted lies outside."""

_AROUND_S: Final = 36 * 3_600
_STEP_S: Final = 3 * 3_600

Stretch = tuple[int, int | None]
"""From a moment on, until before another; None: for ever."""


@lru_cache(maxsize=1_000)
def since_day(day: date, zone: tzinfo) -> list[Stretch]:
    """The stretches, in ms, in which the local date is the day or a later one.

    Mostly it is one. Where clocks go back over midnight (St. John's did at 00:01), the new day begins twice.
    """
    midnight = datetime.combine(min(max(day, FIRST_DAY), LAST_DAY), datetime.min.time(), UTC)
    midnight_s = int(midnight.timestamp())
    stretches: list[Stretch] = []
    for start, end, offset in _offsets(midnight_s - _AROUND_S, midnight_s + _AROUND_S, zone):
        begin = max(start, midnight_s - offset)
        if end is not None and begin >= end:
            continue
        if stretches and stretches[-1][1] == begin * 1_000:
            begin = stretches.pop()[0] // 1_000
        stretches.append((begin * 1_000, None if end is None else end * 1_000))
    return stretches


def day_after(day: date) -> date:
    """The next day of the calendar; the last one stays."""
    return day if day == date.max else day + timedelta(days=1)


def offsets(first_ms: int, last_ms: int, zone: tzinfo) -> list[tuple[int, int, int]]:
    """The stretches of one UTC offset between two moments, as (start, end, offset), all in ms; the end is not in it."""
    # Whole years, so that few answers serve all.
    first = datetime(datetime.fromtimestamp(first_ms / 1_000, UTC).year, 1, 1, tzinfo=UTC)
    last = datetime(datetime.fromtimestamp(last_ms / 1_000, UTC).year + 1, 1, 2, tzinfo=UTC)
    found = _offsets_of_years(int(first.timestamp()), int(last.timestamp()), zone)
    inside = [
        (max(start * 1_000, first_ms), min((last_ms + 1) if end is None else end * 1_000, last_ms + 1), offset * 1_000)
        for start, end, offset in found
    ]
    return [stretch for stretch in inside if stretch[0] < stretch[1]]


@lru_cache(maxsize=200)
def _offsets_of_years(first: int, last: int, zone: tzinfo) -> list[tuple[int, int | None, int]]:
    return _offsets(first, last, zone)


def _offsets(first: int, last: int, zone: tzinfo) -> list[tuple[int, int | None, int]]:
    """The stretches of one UTC offset between two seconds, as (start, end, offset in s); the last has no end."""

    def offset(second: int) -> int:
        found = datetime.fromtimestamp(second, zone).utcoffset()
        return int(found.total_seconds()) if found else 0

    stretches: list[tuple[int, int | None, int]] = []
    start = first
    for second in range(first, last, _STEP_S):
        before, after = second, second + _STEP_S
        if offset(before) == offset(after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offset(second) else (before, middle)
        stretches.append((start, after, offset(second)))
        start = after
    return [*stretches, (start, None, offset(last))]
