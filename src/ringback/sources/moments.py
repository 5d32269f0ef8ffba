"""Moments and durations as people and spreadsheets write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(
    r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
    r" ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII | re.IGNORECASE,
)
_DURATION: Final = re.compile(r"(?:([0-9]{1,7}):)?([0-9]{1,3}):([0-9]{2})", re.ASCII)


class Moment(NamedTuple):
    """When a call began, as it was written."""

    ms: int
    """Since 1970, in UTC."""
    other_ms: int | None
    """The later instant that a local time can mean where clocks went back."""
    is_precise: bool
    """Whether it was written with a fraction of a second."""


def read_moment(text: str, zone: tzinfo) -> Moment | None:
    """The moment of an ISO 8601 time with seconds; without an offset it is one of the zone.

    None for any other form, and for a local time that clocks skipped.
    """
    match = _MOMENT.fullmatch(text)
    if not match:
        return None
    *numbers, fraction, offset = match.groups()
    try:
        local = datetime.fromisoformat("{}-{}-{}T{}:{}:{}".format(*numbers))
        if offset:
            shift = "+00:00" if offset.upper() in ("Z", "UTC") else offset
            instants = [datetime.fromisoformat(f"{local.isoformat()}{shift}")]
        else:
            both = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
            instants = sorted(
                {
                    one.astimezone(UTC)
                    for one in both
                    if one.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
                }
            )
    except (ValueError, OverflowError):
        return None
    ms = [(one - EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3]) for one in instants]
    return Moment(ms[0], ms[1] if len(ms) > 1 else None, bool(fraction)) if ms else None


def read_duration(text: str) -> int | None:
    """The seconds of `61`, `1:01` or `1:01:01`; None for any other form."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 10 else None
    match = _DURATION.fullmatch(text)
    if not match or int(match[3]) > 59 or (match[1] and int(match[2]) > 59):
        return None
    return (int(match[1] or 0) * 60 + int(match[2])) * 60 + int(match[3])
