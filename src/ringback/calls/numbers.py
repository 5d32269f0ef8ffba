"""What is known of a number: its names, how often it was answered, when it usually calls."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

import msgspec

from ringback.accounts import Account
from ringback.calls.contract import KINDS
from ringback.db import Connection
from ringback.ids import NUMBER, read_id
from ringback.text import number_key_hash
from ringback.times import zone

LATEST: Final = 1_000
"""How many of its last calls tell when it usually calls."""

_RINGS: Final = tuple(KINDS[kind] for kind in ("missed", "incoming", "rejected", "blocked"))


class Number(msgspec.Struct, frozen=True):
    """A number as the account knows it. A number here is a number key: all its spellings are one."""

    id: str
    number: str
    key_hash: int
    names: list[str]
    counts: dict[str, int]
    """Calls by kind."""
    usual: tuple[int, int] | None
    """The weekday (1 is Monday) and hour at which most of its calls came in; None where there are few."""


async def find_number(connection: Connection, account: Account, id: str) -> Number | None:
    """The number of an id; None for hidden callers too, who are nobody in particular."""
    place = read_id(NUMBER, id)
    if place is None or place[0] != account.id:
        return None
    row = await connection.fetch_one("select number from parties where account_id = $1 and id = $2", *place)
    if row is None or not row[0]:
        return None
    key_hash = number_key_hash(row[0])
    counts = await connection.fetch(
        "select kind, count(*) from calls where account_id = $1 and key_hash = $2 group by kind", account.id, key_hash
    )
    words = {number: word for word, number in KINDS.items()}
    names = await names_of_key(connection, account.id, key_hash)
    return Number(
        id, row[0], key_hash, names, {words[kind]: int(count) for kind, count in counts},
        await _usual(connection, account, key_hash),
    )  # fmt: skip


async def names_of_key(connection: Connection, account_id: int, key_hash: int) -> list[str]:
    """All names that a number had, the one of the latest call first."""
    rows = await connection.fetch(
        "select p.name, max(c.at_ms) from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
        " where c.account_id = $1 and c.key_hash = $2 and p.name is not null and p.name <> ''"
        " group by p.name order by max(c.at_ms) desc, p.name",
        account_id, key_hash,
    )  # fmt: skip
    return [name for name, _ in rows]


async def _usual(connection: Connection, account: Account, key_hash: int) -> tuple[int, int] | None:
    marks = ", ".join(str(kind) for kind in _RINGS)
    rows = await connection.fetch(
        f"select at_ms from calls where account_id = $1 and key_hash = $2 and kind in ({marks})"
        f" order by at_ms desc limit {LATEST}",
        account.id, key_hash,
    )  # fmt: skip
    local = zone(account.time_zone)
    moments = [datetime.fromtimestamp(at_ms / 1_000, local) for (at_ms,) in rows]
    [(most, count)] = Counter((one.isoweekday(), one.hour) for one in moments).most_common(1) or [((0, 0), 0)]
    return most if count >= 3 else None
