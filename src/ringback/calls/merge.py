"""How reports of one call become one call, in any order of arrival. Rules: the call API contract, "The same call"."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from ringback.calls.contract import KINDS, PRESENTATIONS, CallReport

NEARNESS: Final = {"provider": 0, "sms_backup_restore": 1, "termux": 2, "takeout": 3, "ios": 4, "csv": 5}
"""How near a source is to Android's own table: of two that disagree, the nearer one is believed."""

FARTHEST: Final = 6
"""Sources of any other word, and of none."""

_BITS: Final = 3
_NO_VALUE: Final = 7


class Facts(msgspec.Struct):
    """What can be disputed of a call; a report and a stored call have the same."""

    moment: tuple[bool, int] | None
    """Whether it is known to the millisecond, and the ms since 1970; None where a report does not say which of two."""
    kind: int
    number: str
    name: str | None
    geo_location: str | None
    presentation: int | None
    country_iso: str | None
    sim_id: str | None
    type_raw: str | None
    source: str | None


_VAGUE: Final = {"kind": KINDS["unknown"], "presentation": PRESENTATIONS["unknown"]}


def facts_of(report: CallReport) -> Facts:
    """What a report says."""
    return Facts(
        (report.precision == "ms", report.date_ms), report.kind, report.number, report.cached_name,
        report.geo_location, PRESENTATIONS.get(report.presentation or ""), report.country_iso, report.sim_id,
        report.type_raw, report.source,
    )  # fmt: skip


def new_nearness(facts: Facts) -> int:
    """The nearness of a call that one report alone tells of."""
    near = NEARNESS.get(facts.source or "", FARTHEST)
    return _packed(near, tuple(value is not None for value in msgspec.structs.astuple(facts)))


@lru_cache(maxsize=10_000)
def _packed(near: int, known: tuple[bool, ...]) -> int:
    """One nearness for all fields that are known."""
    return sum((near if one else _NO_VALUE) << (_BITS * place) for place, one in enumerate(known))


def merge(known: Facts, nearness: int, said: Facts) -> tuple[bool, int]:
    """Bring what a report says into what is known; returns whether that changed it, and the new nearness.

    The more certain word wins, then the one of the nearer source, then the latest.
    """
    near = NEARNESS.get(said.source or "", FARTHEST)
    changed = False
    for place, name in enumerate(Facts.__struct_fields__):
        old, new = getattr(known, name), getattr(said, name)
        certainty = _certainty(name, new)
        shift = _BITS * place
        old_near = nearness >> shift & _NO_VALUE
        if (certainty, -near) < (_certainty(name, old), -old_near) or not certainty:
            continue
        changed = changed or new != old
        setattr(known, name, new)
        nearness += (near - old_near) << shift
    return changed, nearness


def forget_moment(nearness: int) -> int:
    """The nearness of a call whose moment may be told anew by any source."""
    return nearness | _NO_VALUE  # the moment is the first of the fields


def _certainty(name: str, value: Any) -> int:
    """0: nothing is known; 1: something vague; 2: it is known."""
    if value is None:
        return 0
    if name == "moment":
        return 2 if value[0] else 1
    return 1 if name in _VAGUE and value == _VAGUE[name] else 2
