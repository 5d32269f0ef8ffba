"""The change feed: calls and tombstones in the order of their last change. Rules: the contract of `/v1/changes`.

Change numbers are taken under the lock of the account's row, so that their order is that of commits, and none becomes
visible after a greater one.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ringback.calls.filters import COLUMNS, ListedCall
from ringback.cursors import make_cursor, read_cursor
from ringback.db import Connection
from ringback.ids import CALL, make_id
from ringback.times import rfc3339

PURPOSE: Final = "changes"

# One statement, and so one state of the database: of two, the second could see a greater change and not a smaller one.
_AFTER: Final = (
    f"select f.change, f.id, f.deleted_ms, {COLUMNS} from ("
    "select * from (select change, id, cast(null as bigint) as deleted_ms from calls"
    " where account_id = $1 and change > $2 order by change limit $3) as changed"
    " union all "
    "select * from (select change, id, deleted_ms from tombstones"
    " where account_id = $1 and change > $2 order by change limit $3) as deleted"
    " order by change limit $3) as f"
    " left join calls c on c.account_id = $1 and c.id = f.id and f.deleted_ms is null"
    " left join parties p on p.account_id = c.account_id and p.id = c.party_id order by f.change"
)


class Changes(NamedTuple):
    """Some changes, in the order of commits, and where to go on."""

    changes: list[dict[str, Any]]
    cursor: str
    has_more: bool


async def changes_after(connection: Connection, account_id: int, cursor: str | None, limit: int) -> Changes:
    """At most so many changes after a cursor, or from the beginning.

    Raises InvalidParameter for a cursor that was made up or belongs elsewhere, CursorExpired for one of another state
    of the database.
    """
    position = 0
    if cursor:
        row = await connection.fetch_one("select last_change from accounts where id = $1", account_id)
        (position,) = await read_cursor(connection, PURPOSE, account_id, cursor, row[0] if row else 0)
    rows = await connection.fetch(_AFTER, account_id, position, limit + 1)
    found = [_change(account_id, row[1], row[2], row[3:]) for row in rows[:limit]]
    if found:
        position = rows[len(found) - 1][0]
    return Changes(found, await make_cursor(connection, PURPOSE, account_id, position), len(rows) > limit)


def _change(account_id: int, number: int, deleted_ms: int | None, row: Any) -> dict[str, Any]:
    if deleted_ms is None:
        return {"op": "upsert", "call": ListedCall(*row).to_dict()}
    return {"op": "delete", "id": make_id(CALL, account_id, number), "deleted_at": rfc3339(deleted_ms)}
