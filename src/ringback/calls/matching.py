"""Which call a report means. Rules: the call API contract, "The same call"."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ringback.calls.contract import CallReport
from ringback.calls.merge import Facts
from ringback.text import number_key_hash


class Identity(NamedTuple):
    """What makes two reports of one device one call."""

    direction: int
    second: int
    key_hash: int
    occurrence: int


class Call(msgspec.Struct):
    """A call that the batch touches."""

    id: int
    party_id: int
    facts: Facts
    duration: int
    nearness: int
    other_second: int | None
    """Its second instant, while it is undecided which of two it is."""
    number: int | None
    """Its number among the rows of a local time that can mean two instants, also after it was decided."""
    change: int
    updated_ms: int
    earlier_kinds: int = 0
    """Kinds that it had before its present one: the sum of 2 to the power of each."""
    new: bool = False
    changed: bool = False
    """Whether what others see of it changed."""
    touched: bool = False
    """Whether anything that is stored of it did."""
    deleted: bool = False
    """Whether only its tombstone is left: it stays deleted."""
    counted: tuple[int, int] | None = None
    """The kind and quarter of an hour under which it is counted; None where it is not yet."""


def identify(report: CallReport) -> Identity:
    """The identity of a report's call. An undecided one has a negative occurrence, apart from all certain ones."""
    occurrence = report.occurrence if report.date_other_ms is None else -1 - report.occurrence
    return Identity(report.direction, report.date_ms // 1_000, number_key_hash(report.number), occurrence)


class Known:
    """The calls that a batch may speak of, and which of them a report means.

    Where a local time can mean two instants, its rows are numbered together. Calls that came with such a number keep
    it; the others at both instants have the free numbers, in the order of time. A certain report with no call of its
    own takes the first undecided one.
    """

    def __init__(self, calls: dict[Identity, Call]) -> None:
        self.calls: dict[Identity, Call] = {}
        self._by_key: dict[tuple[int, int], set[Identity]] = {}
        self._has_undecided = False
        for identity, call in calls.items():
            self.add(identity, call)

    def add(self, identity: Identity, call: Call) -> None:
        """Take a call in."""
        self.calls[identity] = call
        self._has_undecided = self._has_undecided or identity.occurrence < 0
        self._by_key.setdefault((identity.direction, identity.key_hash), set()).add(identity)

    def find(self, report: CallReport) -> Identity:
        """The identity of the report's call, which a certain report moves there where it was undecided so far."""
        identity = identify(report)
        if identity in self.calls:
            return identity
        same = self._by_key.get((identity.direction, identity.key_hash), set())
        if report.date_other_ms is not None:
            return self._find_numbered(same, identity, report.date_other_ms // 1_000)
        first = self._first_undecided(same, identity.second) if self._has_undecided else None
        if first:
            same.remove(first)
            self.add(identity, self.calls.pop(first))
        return identity

    def _first_undecided(self, same: set[Identity], second: int) -> Identity | None:
        undecided = [one for one in same if one.occurrence < 0 and second in (one.second, self.calls[one].other_second)]
        return max(undecided, key=lambda one: (-one.second, one.occurrence), default=None)

    def _find_numbered(self, same: set[Identity], identity: Identity, other_second: int) -> Identity:
        wanted = -1 - identity.occurrence
        undecided = [one for one in same if one.second == identity.second and one.occurrence < 0]
        certain = sorted(one for one in same if one.second in (identity.second, other_second) and one.occurrence >= 0)
        free, numbered = [], {-1 - one.occurrence: one for one in undecided}
        for one in certain:
            number = self.calls[one].number
            if number is None:
                free.append(one)
            else:
                numbered[number] = one
        place = wanted - sum(number < wanted for number in numbered)
        return numbered.get(wanted) or (free[place] if place < len(free) else identity)
