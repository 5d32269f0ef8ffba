"""A batch of reports comes in: each is matched with what is stored, and makes a call or adds to one.

Calls, parties and change numbers are written in the caller's transaction, under the lock of the account's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from ringback.calls.contract import BadReport, CallReport
from ringback.calls.merge import Facts, facts_of, merge, new_nearness
from ringback.calls.rejected import keep_rejected
from ringback.db import Connection, Row
from ringback.errors import NotFound
from ringback.ids import CALL, make_id
from ringback.text import digits, fold, number_key_hash


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a report: `created`, `updated`, `duplicate` or `rejected`."""

    status: str
    id: str | None
    error: str = ""


class Identity(NamedTuple):
    """What makes two reports of one device one call."""

    direction: int
    second: int
    key_hash: int
    occurrence: int


class _Call(msgspec.Struct):
    """A call that the batch touches."""

    id: int
    party_id: int
    facts: Facts
    duration: int
    nearness: int
    new: bool = False
    changed: bool = False
    """Whether what others see of it changed."""
    nearer: bool = False
    """Whether only the nearness of a source did."""


class _Counters(NamedTuple):
    last_call: int
    last_party: int
    last_change: int
    last_rejected: int


def identify(report: CallReport) -> Identity:
    """The identity of a report's call."""
    return Identity(report.direction, report.date_ms // 1_000, number_key_hash(report.number), report.occurrence)


async def take_in(
    connection: Connection, account_id: int, device_id: int, reports: Sequence[CallReport | BadReport], now_ms: int
) -> list[Result]:
    """Store a batch of a device's reports; returns one result for each, in order. Raises NotFound."""
    counters = await _lock_account(connection, account_id)
    wanted = {identify(report) for report in reports if isinstance(report, CallReport)}
    calls = await _load_calls(connection, account_id, device_id, wanted)
    results, bad, last_call = [], [], counters.last_call
    for report in reports:
        if isinstance(report, BadReport):
            bad.append(report)
            results.append(Result("rejected", None, report.error))
            continue
        identity = identify(report)
        if identity in calls:
            status = "updated" if _enrich(calls[identity], report) else "duplicate"
        else:
            last_call, status = last_call + 1, "created"
            calls[identity] = _create(last_call, report)
        results.append(Result(status, make_id(CALL, account_id, calls[identity].id)))

    touched = {identity: call for identity, call in calls.items() if call.new or call.changed or call.nearer}
    after = _Counters(
        last_call,
        await _give_parties(connection, account_id, counters.last_party, list(touched.values())),
        await _write_calls(connection, account_id, device_id, counters.last_change, touched, now_ms),
        await keep_rejected(connection, account_id, device_id, counters.last_rejected, bad, now_ms),
    )
    if after != counters:
        await connection.execute(_SET_COUNTERS, account_id, *after)
    return results


async def _lock_account(connection: Connection, account_id: int) -> _Counters:
    row = await connection.fetch_one(
        f"select last_call, last_party, last_change, last_rejected from accounts where id = $1{connection.for_update}",
        account_id,
    )
    if row is None:
        raise NotFound("The account has been deleted.")
    return _Counters(*row)


async def _load_calls(
    connection: Connection, account_id: int, device_id: int, identities: set[Identity]
) -> dict[Identity, _Call]:
    """The stored calls among the identities."""
    rows = await connection.fetch_many(_FIND_CALL, [(account_id, device_id, *identity) for identity in identities])
    parties = {row[5] for row in rows}
    texts = {
        id: tuple(text) for id, *text in await connection.fetch_many(_FIND_PARTY, [(account_id, id) for id in parties])
    }
    return {Identity(*row[:4]): _stored(row, *texts[row[5]]) for row in rows}


def _stored(row: Row, number: str, name: str | None, geo_location: str | None) -> _Call:
    id, party_id, kind, at_ms, precise, duration, presentation, country, sim, type_raw, source, nearness = row[4:]
    moment = (bool(precise), at_ms)
    facts = Facts(moment, kind, number, name, geo_location, presentation, country, sim, type_raw, source)
    return _Call(id, party_id, facts, duration, nearness)


def _create(id: int, report: CallReport) -> _Call:
    facts = facts_of(report)
    return _Call(id, 0, facts, report.duration_sec, new_nearness(facts), new=True)


def _enrich(call: _Call, report: CallReport) -> bool:
    """Whether the report changed what others see of the call."""
    changed, nearness = merge(call.facts, call.nearness, facts_of(report))
    if report.duration_sec > call.duration:
        call.duration, changed = report.duration_sec, True
    call.nearer = call.nearer or nearness != call.nearness
    call.nearness = nearness
    call.changed = call.changed or changed
    return changed


async def _give_parties(connection: Connection, account_id: int, last_party: int, calls: list[_Call]) -> int:
    """Give each call its party, made where it is new; returns the account's last party."""
    digests = {_party_digest(call.facts): call.facts for call in calls}
    found = await connection.fetch_many(_FIND_PARTY_ID, [(account_id, digest) for digest in digests])
    ids = {bytes(digest): id for digest, id in found}
    new = []
    for digest, facts in digests.items():
        if digest not in ids:
            last_party += 1
            ids[digest] = last_party
            new.append((account_id, last_party, digest, *_party_texts(facts)))
    await connection.execute_many(_INSERT_PARTY, new)
    for call in calls:
        call.party_id = ids[_party_digest(call.facts)]
    return last_party


def _party_digest(facts: Facts) -> bytes:
    """One for each (number, name, place); U+0000 stands in no text, so no two run together."""
    name, geo = facts.name, facts.geo_location
    text = f"{facts.number}\0{'' if name is None else 'n' + name}\0{'' if geo is None else 'g' + geo}"
    return blake2b(text.encode(), digest_size=16).digest()


def _party_texts(facts: Facts) -> Row:
    number, name, geo = facts.number, facts.name, facts.geo_location
    folds = (fold(number), None if name is None else fold(name), None if geo is None else fold(geo))
    return (number, name, geo, *folds, digits(number))


async def _write_calls(
    connection: Connection, account_id: int, device_id: int, last_change: int, touched: dict[Identity, _Call], now: int
) -> int:
    """Write what the batch made of the calls; returns the account's last change."""
    new, changed, nearer = [], [], []
    for identity, call in touched.items():
        if call.new or call.changed:
            last_change += 1
        if call.new:
            new.append((account_id, call.id, *_columns(call), last_change, now, device_id, *identity))
        elif call.changed:
            changed.append((account_id, call.id, *_columns(call), last_change, now))
        else:
            nearer.append((account_id, call.id, call.nearness))
    await connection.execute_many(_INSERT_CALL, new)
    await connection.execute_many(_UPDATE_CALL, changed)
    await connection.execute_many(_UPDATE_NEARNESS, nearer)
    return last_change


def _columns(call: _Call) -> Row:
    """The columns that merging may change, in the order of the statements below."""
    facts = call.facts
    precise, at_ms = facts.moment
    return (
        facts.kind, call.party_id, at_ms, int(precise), call.duration, facts.presentation, facts.country_iso,
        facts.sim_id, facts.type_raw, facts.source, call.nearness,
    )  # fmt: skip


_SET_COUNTERS: Final = (
    "update accounts set last_call = $2, last_party = $3, last_change = $4, last_rejected = $5 where id = $1"
)
_FIND_CALL: Final = (
    "select direction, second, key_hash, occurrence, id, party_id, kind, at_ms, precise, duration_s, presentation,"
    " country_iso, sim_id, type_raw, source, nearness from calls"
    " where account_id = $1 and device_id = $2 and direction = $3 and second = $4 and key_hash = $5 and occurrence = $6"
)
_FIND_PARTY: Final = "select id, number, name, geo_location from parties where account_id = $1 and id = $2"
_FIND_PARTY_ID: Final = "select digest, id from parties where account_id = $1 and digest = $2"
_INSERT_PARTY: Final = (
    "insert into parties (account_id, id, digest, number, name, geo_location, number_fold, name_fold, geo_fold, digits)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
_INSERT_CALL: Final = (
    "insert into calls (account_id, id, kind, party_id, at_ms, precise, duration_s, presentation, country_iso, sim_id,"
    " type_raw, source, nearness, change, created_ms, updated_ms, device_id, direction, second, key_hash, occurrence)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16, $17, $18, $19, $20)"
)
_UPDATE_CALL: Final = (
    "update calls set kind = $3, party_id = $4, at_ms = $5, precise = $6, duration_s = $7, presentation = $8,"
    " country_iso = $9, sim_id = $10, type_raw = $11, source = $12, nearness = $13, change = $14, updated_ms = $15"
    " where account_id = $1 and id = $2"
)
_UPDATE_NEARNESS: Final = "update calls set nearness = $3 where account_id = $1 and id = $2"
