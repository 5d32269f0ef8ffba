"""The change feed: whoever reads it, stops and goes on has in the end what the table has."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from receiver import wait_until
from ringback.accounts import create_account
from service import RINGBACK, Customer, Service, Shell, bearer, call, environment, on_database, run
from test_calls import all_pages
from test_kills import new_seed

RUNS = int(os.environ.get("RUNS") or 20)
WRITERS = 8
READERS = 3
BATCHES = 5
SEQUENCE = (sys.executable, str(Path(__file__).parent / "sequence_server.py"), "serve")


def get(service: Service, customer: Customer, expected: int = 200, **parameters: Any) -> Any:
    answer = service.http.get("/v1/changes", params=parameters, headers=bearer(customer.key))
    assert answer.status_code == expected, answer.text
    return answer.json()


def apply(copy: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    for change in changes:
        if change["op"] == "upsert":
            copy[change["call"]["id"]] = change["call"]
        else:
            copy.pop(change["id"], None)


def test_changes_come_in_the_order_of_commits(service: Service) -> None:
    customer = service.customer()
    empty = get(service, customer)
    assert (empty["changes"], empty["has_more"]) == ([], False)
    first, second = service.send(customer.token, call("+12025550101"), call("+12025550102"))["results"]
    service.send(customer.token, call("+12025550101", cached_name="Anna"))
    answer = get(service, customer, cursor=empty["next_cursor"])
    assert [one["call"]["id"] for one in answer["changes"]] == [second["id"], first["id"]]
    assert answer["changes"][1]["call"]["name"] == "Anna"
    shown = service.http.get(f"/v1/calls/{first['id']}", headers=bearer(customer.key)).json()
    assert answer["changes"][1] == {"op": "upsert", "call": shown}
    service.send(customer.token, call("+12025550101", cached_name="Anna"))
    assert get(service, customer, cursor=answer["next_cursor"])["changes"] == []

    service.http.delete(f"/v1/calls/{second['id']}", headers=bearer(customer.key)).raise_for_status()
    after = get(service, customer, cursor=answer["next_cursor"])
    [deletion] = after["changes"]
    assert (deletion["op"], deletion["id"], list(deletion)) == ("delete", second["id"], ["op", "id", "deleted_at"])
    everything = get(service, customer)
    assert [one["op"] for one in everything["changes"]] == ["upsert", "delete"]
    one_by_one: list[Any] = []
    cursor, has_more = "", True
    while has_more:
        answer = get(service, customer, cursor=cursor, limit=1)
        one_by_one += answer["changes"]
        cursor, has_more = answer["next_cursor"], answer["has_more"]
    assert one_by_one == everything["changes"]


def test_cursors_that_lead_nowhere(service: Service) -> None:
    customer, other = service.customer(), service.customer()
    service.send(customer.token, call("+12025550101"))
    cursor = get(service, customer)["next_cursor"]
    for bad in ("x", cursor[:-2], "A" + cursor[1:], get(service, other)["next_cursor"], "é", "\0"):
        assert get(service, customer, 400, cursor=bad)["code"] == "invalid_parameter"
    listed = service.http.get("/v1/calls?limit=1", headers=bearer(customer.key)).json()["next_cursor"]
    assert listed is None
    for bad in ("abc", "1.5"):
        assert get(service, customer, 400, limit=bad)["code"] == "invalid_parameter"
    assert len(get(service, customer, limit=10**30)["changes"]) == 1
    # A server that was put back to an older copy has not come so far.
    sql = "update accounts set last_change = last_change - 1 where id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, customer.id))
    assert get(service, customer, 410, cursor=cursor)["code"] == "cursor_expired"


def test_a_cursor_of_another_history(fresh: Callable[[str], str]) -> None:
    service = Service(fresh("sqlite"))
    customer = service.customer()
    cursor = get(service, customer)["next_cursor"]
    on_database(service.database_url, lambda c: c.execute("update installation set history = 'abcdef'"))
    assert get(service, customer, 410, cursor=cursor)["code"] == "cursor_expired"
    service.stop()


def test_an_expired_account_and_a_wrong_key(service: Service) -> None:
    customer = service.customer()
    assert service.http.get("/v1/changes").status_code == 401
    assert service.http.get("/v1/changes", headers=bearer(customer.token)).status_code == 401
    database = {"RINGBACK_DATABASE_URL": service.database_url}
    assert run("account", "set-until", customer.name, "2020-01-01", **database).returncode == 0
    assert get(service, customer, 403)["code"] == "api_expired"


def write(service: Service, customer: Customer, generator: random.Random, writer: int) -> None:
    """Some calls come in, change and go, one request after the other."""
    mine: list[tuple[Any, str]] = []
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        for batch in range(BATCHES):
            reports = [
                call(f"+1202{writer}{batch:02}{n:04}", date_ms=1_761_231_000_000 + n * 1_000)
                for n in range(generator.randrange(1, 4))
            ]
            again = [report | {"cached_name": f"name {batch}"} for report, _ in mine if generator.random() < 0.4]
            answer = client.post("/v1/sync/calls", json={"calls": reports + again}, headers=bearer(customer.token))
            assert answer.status_code == 200, answer.text
            results = answer.json()["results"]
            mine += [(report, result["id"]) for report, result in zip(reports, results, strict=False)]
            if generator.random() < 0.4:
                _, id = mine.pop(generator.randrange(len(mine)))
                assert client.delete(f"/v1/calls/{id}", headers=bearer(customer.key)).status_code == 204


def follow(service: Service, customer: Customer, generator: random.Random, ended: threading.Event) -> dict[str, Any]:
    """A reader that goes away now and then, and goes on where it was; its copy of the table."""
    copy: dict[str, Any] = {}
    cursor = ""
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        while True:
            last = ended.is_set()
            parameters: dict[str, Any] = {"cursor": cursor, "limit": generator.randrange(1, 20)}
            answer = client.get("/v1/changes", params=parameters, headers=bearer(customer.key)).json()
            if generator.random() < 0.2:
                continue  # it was killed before it kept what it read
            apply(copy, answer["changes"])
            cursor = answer["next_cursor"]
            if last and not answer["has_more"]:
                return copy
            time.sleep(generator.random() * 0.005)


def differs(service: Service, seed: int) -> bool:
    """Whether a reader's copy differs from the table after all writers have ended."""
    customer, ended = service.customer(), threading.Event()
    with ThreadPoolExecutor(WRITERS + READERS) as threads:
        readers = [
            threads.submit(follow, service, customer, random.Random(seed + place), ended) for place in range(READERS)
        ]
        try:
            for one in [
                threads.submit(write, service, customer, random.Random(seed - 1 - place), place)
                for place in range(WRITERS)
            ]:
                one.result()
        finally:
            ended.set()
        copies = [reader.result() for reader in readers]
    table = {one["id"]: one for one in all_pages(service, customer, limit=500)}
    assert len(table) > WRITERS
    return any(copy != table for copy in copies)


def differing_runs(service: Service, runs: int) -> int:
    seed = new_seed()
    print(f"seed {seed}")
    return sum(differs(service, seed + 100 * number) for number in range(runs))


@pytest.mark.timeout(0 if RUNS > 20 else 280)
def test_readers_have_what_the_table_has(database_url: str) -> None:
    service = Service(database_url, "--workers", "2")
    try:
        assert differing_runs(service, RUNS) == 0
    finally:
        service.stop()


def test_the_control_misses_changes(fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    url = fresh("postgresql")
    on_database(url, lambda c: c.execute("create sequence control start 10"))
    service = Service(url, "--workers", "2", program=SEQUENCE)
    try:
        assert any(differing_runs(service, 1) for _ in range(20))
    finally:
        service.stop()


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.endswith("}")]


def is_printed(file: Path, id: str) -> bool:
    return any(one["call"]["id"] == id for one in lines_of(file))


def test_follow_prints_what_comes_and_goes_on_where_it_was(service: Service, tmp_path: Path) -> None:
    customer = service.customer()
    out, state = tmp_path / "out", tmp_path / "state"
    service.send(customer.token, call("+12025550101"))
    command = (*RINGBACK, "follow", "--account", customer.name, "--state", str(state))
    variables = environment(RINGBACK_DATABASE_URL=service.database_url)
    copy: dict[str, Any] = {}
    for number in range(3):
        with out.open("wb") as stream:
            process = subprocess.Popen(command, env=variables, stdout=stream)
        if number == 0:
            wait_until(lambda: lines_of(out))
        [result] = service.send(customer.token, call(f"+1202555011{number}"))["results"]
        wait_until(partial(is_printed, out, result["id"]))
        process.kill()
        process.wait()
        apply(copy, lines_of(out))
        service.send(customer.token, call("+12025550101", cached_name=f"name {number}"))
    shell = Shell(service.database_url)
    rest = shell.ok("follow", "--account", customer.name, "--state", str(state), "--once")
    apply(copy, [json.loads(line) for line in rest.splitlines()])
    assert copy == {one["id"]: one for one in all_pages(service, customer)}
    assert shell.ok("follow", "--account", customer.name, "--state", str(state), "--once") == ""


def test_follow_says_what_is_wrong(database_url: str, tmp_path: Path) -> None:
    on_database(database_url, lambda c: create_account(c, "shop"))
    shell = Shell(database_url)
    assert "no account" in shell.refused(1, "follow", "--account", "nobody", "--once")
    shell.refused(2, "follow", "--account", "shop", "--once", "--state", str(tmp_path))
    shell.refused(2, "follow", "--account", "shop", "--once", "--state", str(tmp_path / "no" / "where"))
    (tmp_path / "made-up").write_text("made up\n")
    assert "cursor" in shell.refused(2, "follow", "--account", "shop", "--once", "--state", str(tmp_path / "made-up"))
