"""Manifests: every row of one read of a phone's log, and which of them are not here. Rules: the contract of phones."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from ringback.calls.contract import LONGEST_TEXT
from ringback.calls.store import (
    FIND_AT_OTHER_SECOND,
    FIND_AT_SECOND,
    FIND_TOMBSTONE_AT_OTHER_SECOND,
    FIND_TOMBSTONE_AT_SECOND,
)
from ringback.db import Connection
from ringback.errors import InvalidParameter, PayloadTooLarge
from ringback.text import is_storable

MOST_ROWS: Final = 50_000
CLASSES: Final = {"in": 0, "out": 1, "voicemail": 2}
MOST_SECOND: Final = 10**11
_KEY: Final = re.compile("[0-9a-f]{16}")


class ManifestRow(NamedTuple):
    """A row of a phone's log; `seconds` are the one or two instants it may be, earliest first."""

    direction: int
    seconds: tuple[int, ...]
    key_hash: int
    occurrence: int


class Log(NamedTuple):
    """The log of one SIM: how many rows it holds, and the latest instant that its oldest can be."""

    rows: int
    from_ms: int


class Manifest(NamedTuple):
    """One read of a phone's whole log; moments are ms by the server's clock, as the phone knows it."""

    at_ms: int
    sent_at_ms: int
    logs: list[Log]
    rows: list[ManifestRow]


def parse_manifest(body: dict[str, Any]) -> Manifest:
    """The manifest in a body. Raises InvalidParameter, PayloadTooLarge."""
    read, rows = body.get("read"), body.get("rows")
    if not isinstance(read, dict) or not isinstance(read.get("logs"), list) or not isinstance(rows, list):
        raise InvalidParameter('The body must be {"read": {"at_ms", "logs"}, "sent_at_ms", "rows"}.')
    if len(rows) > MOST_ROWS:
        raise PayloadTooLarge(f"A manifest may have {MOST_ROWS:,} rows.")
    at_ms, sent_at_ms = _moment(read.get("at_ms"), "read.at_ms"), _moment(body.get("sent_at_ms"), "sent_at_ms")
    return Manifest(at_ms, sent_at_ms, [_log(log) for log in read["logs"]], [_row(row) for row in rows])


def _moment(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= MOST_SECOND * 1_000:
        raise InvalidParameter(f"{name} must be a whole number of milliseconds since 1970.")
    return value


def _log(value: Any) -> Log:
    if not isinstance(value, dict) or type(value.get("rows")) is not int or value["rows"] < 0:
        raise InvalidParameter('Each of read.logs must be {"sim_id", "rows", "from_ms"}.')
    sim_id = value.get("sim_id")
    if sim_id is not None and (type(sim_id) is not str or len(sim_id) > LONGEST_TEXT or not is_storable(sim_id)):
        raise InvalidParameter(f"sim_id in read.logs must be null or text of at most {LONGEST_TEXT} characters.")
    return Log(value["rows"], _moment(value.get("from_ms"), "from_ms in read.logs"))


def _row(value: Any) -> ManifestRow:
    try:
        kind, seconds, key, occurrence = value
        direction, key_bytes = CLASSES[kind], bytes.fromhex(key if _KEY.fullmatch(key) else "")
        fits = len(seconds) in (1, 2) and all(type(one) is int and 0 <= one <= MOST_SECOND for one in seconds)
        if not fits or not key_bytes or type(occurrence) is not int or not 0 <= occurrence < 2**31:
            raise ValueError
        key_hash = int.from_bytes(key_bytes, "big", signed=True)
        return ManifestRow(direction, tuple(sorted(set(seconds))), key_hash, occurrence)
    except (TypeError, ValueError, KeyError):
        raise InvalidParameter("Each of rows must be [class, [seconds], key, occurrence].") from None


async def find_missing(connection: Connection, account_id: int, device_id: int, rows: list[ManifestRow]) -> list[int]:
    """The places of the rows of which no call is here. No call answers for two rows."""
    places = [(row.direction, second, row.key_hash) for row in rows for second in row.seconds]
    asked = [(account_id, device_id, *place) for place in sorted(set(places))]
    here: dict[tuple[int, int, int], dict[int, int]] = {}
    # A call that was deleted counts as here.
    finds = [FIND_AT_SECOND, FIND_TOMBSTONE_AT_SECOND]
    if any(len(row.seconds) > 1 for row in rows):
        finds += [FIND_AT_OTHER_SECOND, FIND_TOMBSTONE_AT_OTHER_SECOND]
    for find in finds:
        for direction, second, key_hash, occurrence, id, *_ in await connection.fetch_many(find, asked):
            here.setdefault((direction, second, key_hash), {})[occurrence] = id

    missing, taken = set(), set()
    for place, row in enumerate(rows):
        if len(row.seconds) == 1:
            id = here.get((row.direction, row.seconds[0], row.key_hash), {}).get(row.occurrence)
            if id is None or id in taken:
                missing.add(place)
            else:
                taken.add(id)
    doubtful = [(row.occurrence, place) for place, row in enumerate(rows) if len(row.seconds) > 1]
    free: dict[tuple[Any, ...], list[int]] = {}
    for _, place in sorted(doubtful):
        direction, seconds, key_hash, _ = rows[place]
        if (direction, seconds, key_hash) not in free:
            ids = {id for second in seconds for id in here.get((direction, second, key_hash), {}).values()}
            free[direction, seconds, key_hash] = sorted(ids, reverse=True)
        left = free[direction, seconds, key_hash]
        while left and left[-1] in taken:
            left.pop()
        if left:
            taken.add(left.pop())
        else:
            missing.add(place)
    return sorted(missing)
