"""Each hot statement walks an index: a scan of the account would not be seen in tests of a few thousand calls."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from ringback.calls import store
from ringback.calls.query import NULLS, ORDERS, CallQuery
from service import run


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> apsw.Connection:
    path: Path = tmp_path_factory.mktemp("plans") / "ringback.db"
    assert run("migrate", RINGBACK_DATABASE_URL=f"sqlite:///{path}").returncode == 0
    return apsw.Connection(str(path))


def plan(connection: apsw.Connection, sql: str) -> list[str]:
    numbered = re.sub(r"\$(\d+)", r"?\1", sql)
    return [str(row[3]) for row in connection.execute(f"explain query plan {numbered}", (1,) * sql.count("$"))]


def test_looking_calls_and_parties_up(connection: apsw.Connection) -> None:
    [step] = plan(connection, store.FIND_CALL)
    assert step.startswith("SEARCH calls USING INDEX calls_by_identity (account_id=? AND device_id=? AND direction=?")
    assert step.endswith("second=? AND key_hash=? AND occurrence=?)")
    [step] = plan(connection, store.FIND_AT_SECOND)
    assert step.endswith("device_id=? AND direction=? AND second=? AND key_hash=?)")
    [step] = plan(connection, store.FIND_AT_OTHER_SECOND)
    assert step.endswith(
        "calls_undecided (account_id=? AND device_id=? AND direction=? AND other_second=? AND key_hash=?)"
    )
    [step] = plan(connection, store.FIND_TOMBSTONE_AT_SECOND)
    assert step.endswith("device_id=? AND direction=? AND second=? AND key_hash=?)")
    [step] = plan(connection, store.FIND_TOMBSTONE_AT_OTHER_SECOND)
    assert step.endswith("direction=? AND other_second=? AND key_hash=?)")
    [step] = plan(connection, store.FIND_PARTY)
    assert "(account_id=? AND id=?)" in step
    [step] = plan(connection, store.FIND_PARTY_ID)
    assert "(account_id=? AND digest=?)" in step


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("kinds", [[], ["missed"]])
def test_calls_after_one_walk_the_order_of_time(
    connection: apsw.Connection, kinds: list[str], newest_first: bool
) -> None:
    sql, _ = CallQuery(1, kinds).after_sql("c.id", (1, 1), newest_first=newest_first)
    steps = plan(connection, sql)
    assert re.match(r"SEARCH c USING (COVERING )?INDEX calls_by_(moment|date) \(account_id=\? AND ", steps[0]), steps
    assert "at_ms" in steps[0], steps
    assert len(steps) == 2, steps


def test_filters_walk_the_order_of_time(connection: apsw.Connection) -> None:
    query = CallQuery(1, ["missed", "rejected"])
    query.not_called_back()
    where = " and ".join(query._clauses)
    steps = plan(connection, f"select 1 from calls c where {where} order by c.at_ms desc, c.id desc limit 50")
    assert "calls_by_" in steps[0], steps
    assert "(account_id=?" in steps[0], steps
    assert any("COVERING INDEX calls_by_number (account_id=? AND key_hash=? AND at_ms>?)" in step for step in steps)
    [step] = plan(connection, "select sum(n) from quarters where account_id = $1 and kind in ($2) and quarter >= $3")
    assert step.startswith("SEARCH quarters USING PRIMARY KEY (account_id=? AND kind=? AND quarter>?)"), step


@pytest.mark.parametrize(
    ("sort_by", "direction", "index"),
    [
        ("call_date_ms", "desc", "calls_by_date"),
        ("call_date_ms", "asc", "calls_by_date"),
        ("created_at", "desc", "PRIMARY KEY"),
        ("created_at", "asc", "PRIMARY KEY"),
        ("duration_sec", "desc", "calls_by_duration"),
    ],
)
def test_pages_walk_an_index_in_its_order(
    connection: apsw.Connection, sort_by: str, direction: str, index: str
) -> None:
    order = ORDERS[sort_by].format(direction=direction, nulls=NULLS[direction])
    steps = plan(
        connection,
        "select p.number, c.at_ms from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
        f" where c.account_id = $1 and c.kind = $2 order by {order} limit $3 offset $4",
    )
    assert re.match(rf"SEARCH c USING (INDEX )?{index} \(account_id=\?", steps[0]), steps
    assert len(steps) == 2  # the party's look-up, no sorting
