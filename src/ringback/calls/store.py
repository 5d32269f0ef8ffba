"""A batch of reports comes in: each is matched with what is stored, and makes a call or adds to one.

Calls, parties and change numbers are written in the caller's transaction, under the lock of the account's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from ringback.calls.contract import BadReport, CallReport
from ringback.calls.matching import Call, Identity, Known, identify
from ringback.calls.merge import Facts, facts_of, forget_moment, merge, new_nearness
from ringback.calls.news import event_type, kinds_before, tell_of_calls, tell_of_deletion, told_since
from ringback.calls.rejected import keep_rejected
from ringback.db import Connection, Row
from ringback.errors import NotFound
from ringback.ids import CALL, make_id, read_id
from ringback.text import digits, fold, number_key_hash
from ringback.times import QUARTER_MS

STATUSES: Final = ("created", "updated", "duplicate", "withheld", "rejected")
"""What can become of a report."""


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a report: `created`, `updated`, `duplicate` or `rejected`."""

    status: str
    id: str | None
    error: str = ""


class _Counters(NamedTuple):
    last_call: int
    last_party: int
    last_change: int
    last_rejected: int


_NOTHING: Final = Facts((False, 0), 0, "", None, None, None, None, None, None, None)
"""All that is kept of what was said of a deleted call."""


async def take_in(
    connection: Connection,
    account_id: int,
    device_id: int,
    reports: Sequence[CallReport | BadReport],
    now_ms: int,
    import_id: int | None = None,
    *,
    tell_all: bool = False,
) -> list[Result]:
    """Store a batch of a device's reports; returns one result for each, in order. Raises NotFound.

    `import_id` is the number of the import that they come from; with `tell_all` its old calls are news, too.
    """
    counters = await _lock_account(connection, account_id)
    taken = [report for report in reports if isinstance(report, CallReport)]
    known = Known(await _load_calls(connection, account_id, device_id, taken))
    results, bad, last_call = [], [], counters.last_call
    for report in reports:
        if isinstance(report, BadReport):
            bad.append(report)
            results.append(Result("rejected", None, report.error))
            continue
        identity = known.find(report)
        if identity in known.calls and known.calls[identity].deleted:
            status = "duplicate"
            _decide(known.calls[identity], report)
        elif identity in known.calls:
            status = "updated" if _enrich(known.calls[identity], report) else "duplicate"
        else:
            last_call, status = last_call + 1, "created"
            known.add(identity, _create(last_call, report))
        results.append(Result(status, make_id(CALL, account_id, known.calls[identity].id)))

    touched = {one: call for one, call in known.calls.items() if (call.new or call.touched) and not call.deleted}
    buried = [(one, call) for one, call in known.calls.items() if call.touched and call.deleted]
    moved = [(account_id, call.id, one.second, one.occurrence, call.other_second) for one, call in buried]
    await connection.execute_many(_MOVE_TOMBSTONE, moved)
    last_party = await _give_parties(connection, account_id, counters.last_party, list(touched.values()))
    since = await told_since(connection, account_id, device_id, now_ms, all=tell_all)
    last_change, told = _number_changes(counters.last_change, touched.values(), now_ms, since)
    await _write_calls(connection, account_id, device_id, touched, now_ms)
    last_rejected = await keep_rejected(
        connection, account_id, device_id, counters.last_rejected, bad, now_ms, import_id
    )
    after = _Counters(last_call, last_party, last_change, last_rejected)
    if after != counters:
        await connection.execute(_SET_COUNTERS, account_id, *after)
    await tell_of_calls(connection, account_id, told, now_ms)
    return results


async def _lock_account(connection: Connection, account_id: int) -> _Counters:
    row = await connection.fetch_one(
        f"select last_call, last_party, last_change, last_rejected from accounts where id = $1{connection.for_update}",
        account_id,
    )
    if row is None:
        raise NotFound("The account has been deleted.")
    return _Counters(*row)


def _instants_around(reports: list[CallReport]) -> set[tuple[int, int, int]]:
    """Direction, second and key of both instants of the undecided reports."""
    return {
        (report.direction, ms // 1_000, number_key_hash(report.number))
        for report in reports
        if report.date_other_ms is not None
        for ms in (report.date_ms, report.date_other_ms)
    }


async def _load_calls(
    connection: Connection, account_id: int, device_id: int, reports: list[CallReport]
) -> dict[Identity, Call]:
    """The stored calls that the reports may speak of."""
    place = (account_id, device_id)
    identities = {identify(report) for report in reports}
    rows = await connection.fetch_many(FIND_CALL, [(*place, *identity) for identity in identities])
    around = _instants_around(reports)
    if around or await connection.fetch_one(_ANY_UNDECIDED, *place):
        around |= {one[:3] for one in identities}
        rows += await connection.fetch_many(FIND_AT_SECOND, [(*place, *one) for one in around])
        rows += await connection.fetch_many(FIND_AT_OTHER_SECOND, [(*place, *one) for one in around])
    buried = await _load_tombstones(connection, place, identities, around)
    parties = {row[5] for row in rows}
    texts = {
        id: tuple(text) for id, *text in await connection.fetch_many(FIND_PARTY, [(account_id, id) for id in parties])
    }
    return {Identity(*row[:4]): _stored(row, *texts[row[5]]) for row in rows} | buried


async def _load_tombstones(
    connection: Connection, place: tuple[int, int], identities: set[Identity], around: set[Any]
) -> dict[Identity, Call]:
    """The deleted calls that the reports may speak of."""
    if not await connection.fetch_one(_ANY_TOMBSTONE, *place):
        return {}
    around = around | {one[:3] for one in identities}
    rows = await connection.fetch_many(FIND_TOMBSTONE_AT_SECOND, [(*place, *one) for one in around])
    rows += await connection.fetch_many(FIND_TOMBSTONE_AT_OTHER_SECOND, [(*place, *one) for one in around])
    return {Identity(*row[:4]): Call(row[4], 0, _NOTHING, 0, 0, row[5], row[6], 0, 0, deleted=True) for row in rows}


async def delete_call(connection: Connection, account_id: int, id: str, now_ms: int) -> bool:
    """Delete a call, of which a tombstone stays; returns whether there was one."""
    counters = await _lock_account(connection, account_id)
    place = read_id(CALL, id)
    row = None
    if place and place[0] == account_id:
        row = await connection.fetch_one(
            "select device_id, direction, second, key_hash, occurrence, other_second, undecided_number, kind, at_ms"
            " from calls where account_id = $1 and id = $2",
            *place,
        )
    if row is None or place is None:
        return False
    *identity, kind, at_ms = row
    change = counters.last_change + 1
    event_change = change + 1
    await connection.execute(_INSERT_TOMBSTONE, *place, *identity, change, now_ms)
    await connection.execute("delete from calls where account_id = $1 and id = $2", *place)
    await connection.execute(_COUNT, account_id, kind, at_ms // QUARTER_MS, -1)
    await connection.execute(_SET_COUNTERS, account_id, *counters._replace(last_change=event_change))
    await tell_of_deletion(connection, *place, identity[0], event_change, now_ms)
    return True


def _stored(row: Row, number: str, name: str | None, geo_location: str | None) -> Call:
    id, party_id, kind, at_ms, precise, duration, presentation, country, sim, type_raw, source, *more = row[4:]
    moment = (bool(precise), at_ms)
    facts = Facts(moment, kind, number, name, geo_location, presentation, country, sim, type_raw, source)
    call = Call(id, party_id, facts, duration, *more)
    call.counted = (kind, at_ms // QUARTER_MS)
    return call


def _create(id: int, report: CallReport) -> Call:
    facts = facts_of(report)
    other_second = None if report.date_other_ms is None else report.date_other_ms // 1_000
    number = None if other_second is None else report.occurrence
    return Call(id, 0, facts, report.duration_sec, new_nearness(facts), other_second, number, 0, 0, new=True)


def _decide(call: Call, report: CallReport) -> bool:
    """Whether the report decided at which of two seconds the call was."""
    if report.date_other_ms is not None or call.other_second is None:
        return False
    call.other_second, call.touched = None, True
    return True


def _enrich(call: Call, report: CallReport) -> bool:
    """Whether the report changed what others see of the call."""
    said, moment = facts_of(report), call.facts.moment
    if _decide(call, report):
        call.facts.moment, call.nearness = said.moment, forget_moment(call.nearness)
    elif report.date_other_ms is not None and call.other_second is None:
        said.moment = None  # an undecided report never moves a call
    changed, nearness = merge(call.facts, call.nearness, said)
    changed = changed or call.facts.moment != moment
    if report.duration_sec > call.duration:
        call.duration, changed = report.duration_sec, True
    call.touched = call.touched or changed or nearness != call.nearness
    call.nearness = nearness
    call.changed = call.changed or changed
    return changed


async def _give_parties(connection: Connection, account_id: int, last_party: int, calls: list[Call]) -> int:
    """Give each call its party, made where it is new; returns the account's last party."""
    digests = {_party_digest(call.facts): call.facts for call in calls}
    found = await connection.fetch_many(FIND_PARTY_ID, [(account_id, digest) for digest in digests])
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


def _number_changes(
    last_change: int, calls: Iterable[Call], now_ms: int, since_ms: int
) -> tuple[int, list[tuple[int, int, str]]]:
    """Give each changed call its change number; returns the account's last one, and what `tell_of_calls` takes.

    Calls before `since_ms` are not told of.
    """
    told = []
    for call in calls:
        if call.new or call.changed:
            last_change += 1
            call.change, call.updated_ms = last_change, now_ms
        type = event_type(call)
        assert call.facts.moment is not None
        if type and call.facts.moment[1] >= since_ms:
            last_change += 1
            told.append((call.id, last_change, type))
    return last_change, told


async def _write_calls(
    connection: Connection, account_id: int, device_id: int, touched: dict[Identity, Call], now: int
) -> None:
    """Write what the batch made of the calls."""
    new, known = [], []
    for identity, call in touched.items():
        if call.new:
            new.append((account_id, call.id, *_columns(identity, call), now, device_id, *identity[::2]))
        else:
            known.append((account_id, call.id, *_columns(identity, call)))
    await connection.execute_many(_INSERT_CALL, new)
    await connection.execute_many(_UPDATE_CALL, known)
    await _count(connection, account_id, touched.values())


async def _count(connection: Connection, account_id: int, calls: Iterable[Call]) -> None:
    """Bring the counts of quarters of an hour up to date."""
    changes: Counter[tuple[int, int]] = Counter()
    for call in calls:
        assert call.facts.moment is not None
        changes[call.facts.kind, call.facts.moment[1] // QUARTER_MS] += 1
        if call.counted:
            changes[call.counted] -= 1
    rows = [(account_id, kind, quarter, n) for (kind, quarter), n in sorted(changes.items()) if n]
    await connection.execute_many(_COUNT, rows)


def _columns(identity: Identity, call: Call) -> Row:
    """The columns that a report may change, in the order of the statements below."""
    facts = call.facts
    assert facts.moment is not None
    precise, at_ms = facts.moment
    return (
        facts.kind, call.party_id, at_ms, int(precise), call.duration, facts.presentation, facts.country_iso,
        facts.sim_id, facts.type_raw, facts.source, call.nearness, call.change, call.updated_ms, call.other_second,
        call.number, identity.second, identity.occurrence, kinds_before(call),
    )  # fmt: skip


_COUNT: Final = (
    "insert into quarters (account_id, kind, quarter, n) values ($1, $2, $3, $4)"
    " on conflict (account_id, kind, quarter) do update set n = quarters.n + excluded.n"
)
_SET_COUNTERS: Final = (
    "update accounts set last_call = $2, last_party = $3, last_change = $4, last_rejected = $5 where id = $1"
)
_COLUMNS: Final = (
    "direction, second, key_hash, occurrence, id, party_id, kind, at_ms, precise, duration_s, presentation,"
    " country_iso, sim_id, type_raw, source, nearness, other_second, undecided_number, change, updated_ms,"
    " earlier_kinds"
)
_PLACE: Final = "account_id = $1 and device_id = $2 and direction = $3"
FIND_CALL: Final = f"select {_COLUMNS} from calls where {_PLACE} and second = $4 and key_hash = $5 and occurrence = $6"
# The order is for SQLite's planner: without it, it walks the whole account.
FIND_AT_SECOND: Final = (
    f"select {_COLUMNS} from calls where {_PLACE} and second = $4 and key_hash = $5 order by occurrence"
)
FIND_AT_OTHER_SECOND: Final = (
    f"select {_COLUMNS} from calls where {_PLACE} and other_second = $4 and other_second is not null and key_hash = $5"
)
_ANY_UNDECIDED: Final = (
    "select 1 from calls where account_id = $1 and device_id = $2 and other_second is not null limit 1"
)
_TOMBSTONE: Final = "direction, second, key_hash, occurrence, id, other_second, undecided_number"
FIND_TOMBSTONE_AT_SECOND: Final = (
    f"select {_TOMBSTONE} from tombstones where {_PLACE} and second = $4 and key_hash = $5 order by occurrence"
)
FIND_TOMBSTONE_AT_OTHER_SECOND: Final = (
    f"select {_TOMBSTONE} from tombstones where {_PLACE} and other_second = $4 and other_second is not null"
    " and key_hash = $5"
)
_ANY_TOMBSTONE: Final = "select 1 from tombstones where account_id = $1 and device_id = $2 limit 1"
_INSERT_TOMBSTONE: Final = (
    "insert into tombstones (account_id, id, device_id, direction, second, key_hash, occurrence, other_second,"
    " undecided_number, change, deleted_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
_MOVE_TOMBSTONE: Final = (
    "update tombstones set second = $3, occurrence = $4, other_second = $5 where account_id = $1 and id = $2"
)
FIND_PARTY: Final = "select id, number, name, geo_location from parties where account_id = $1 and id = $2"
FIND_PARTY_ID: Final = "select digest, id from parties where account_id = $1 and digest = $2"
_INSERT_PARTY: Final = (
    "insert into parties (account_id, id, digest, number, name, geo_location, number_fold, name_fold, geo_fold, digits)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
_INSERT_CALL: Final = (
    "insert into calls (account_id, id, kind, party_id, at_ms, precise, duration_s, presentation, country_iso, sim_id,"
    " type_raw, source, nearness, change, updated_ms, other_second, undecided_number, second, occurrence,"
    " earlier_kinds, created_ms, device_id, direction, key_hash)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,"
    " $23, $24)"
)
_UPDATE_CALL: Final = (
    "update calls set kind = $3, party_id = $4, at_ms = $5, precise = $6, duration_s = $7, presentation = $8,"
    " country_iso = $9, sim_id = $10, type_raw = $11, source = $12, nearness = $13, change = $14, updated_ms = $15,"
    " other_second = $16, undecided_number = $17, second = $18, occurrence = $19, earlier_kinds = $20"
    " where account_id = $1 and id = $2"
)
