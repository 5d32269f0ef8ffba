"""Up to when a phone is known to be complete: heartbeats, manifests, gaps, health."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ringback.devices import note_seen
from ringback.text import number_key_digest
from service import Customer, Service, bearer, call, on_database, run
from test_agent import Paired
from test_pairing import code_for

BEAT: dict[str, Any] = {
    "agent_version": "1", "time_zone": "Europe/Paris", "outbox": 3, "battery": 77, "charging": False,
    "permission": "ok",
}  # fmt: skip
START = 1_761_231_000_000


def now() -> int:
    return int(time.time() * 1_000)


def row(report: dict[str, Any], *seconds: int) -> list[Any]:
    """The manifest's row of a report; `seconds` where it may be at two."""
    kinds = {"outgoing": "out", "voicemail": "voicemail"}
    key = number_key_digest(report["number"] or "").hex()
    moments = list(seconds) or [report["date_ms"] // 1_000]
    return [kinds.get(report["type"], "in"), moments, key, report.get("occurrence", 0)]


def send(service: Service, token: str, rows: list[Any], at_ms: int | None = None, **more: Any) -> httpx.Response:
    at_ms = now() if at_ms is None else at_ms
    logs = more.pop("logs", [{"sim_id": "1", "rows": len(rows), "from_ms": START}])
    body = {"read": {"at_ms": at_ms, "logs": logs}, "sent_at_ms": at_ms, "rows": rows, **more}
    return service.http.post("/v1/sync/manifest", json=body, headers=bearer(token))


def prove(service: Service, token: str, reports: list[Any], at_ms: int, **more: Any) -> int:
    """A manifest with which nothing is missing; returns the value."""
    answer = send(service, token, [row(report) for report in reports], at_ms, **more).json()
    assert answer["missing"] == []
    return int(answer["synced_through_ms"])


def device(service: Service, customer: Customer) -> dict[str, Any]:
    listed = service.http.get("/v1/devices", headers=bearer(customer.key)).json()["devices"]
    return dict(listed[0])


def test_heartbeat(service: Service) -> None:
    customer = service.customer()
    before = now()
    answer = service.http.post("/v1/sync/heartbeat", json=BEAT, headers=bearer(customer.token))
    assert answer.status_code == 200
    assert list(answer.json()) == ["server_time_ms", "rules"]
    assert before <= answer.json()["server_time_ms"] <= now()
    assert answer.json()["rules"] == {"never": [], "sims": None, "hours": None}
    found = device(service, customer)
    assert list(found) == [
        "id", "name", "status", "platform", "agent_version", "time_zone", "battery", "charging", "permission",
        "outbox", "last_seen", "synced_through", "gaps",
    ]  # fmt: skip
    assert {name: found[name] for name in BEAT} == BEAT
    phones = service.http.get("/gateway/mobile/list/", headers=bearer(customer.key)).json()["items"]
    assert (phones[0]["battery"], phones[0]["version"], phones[0]["synced_through"]) == (77, "1", None)
    empty = {**dict.fromkeys(BEAT), "outbox": 0, "permission": "unknown"}
    assert service.http.post("/v1/sync/heartbeat", json=empty, headers=bearer(customer.token)).status_code == 200
    assert device(service, customer)["charging"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"outbox": None}, {"outbox": -1}, {"outbox": 1.5}, {"outbox": True}, {"battery": 101}, {"battery": "5"},
        {"charging": 1}, {"permission": None}, {"permission": "yes"}, {"time_zone": 5}, {"agent_version": "x" * 101},
    ],
)  # fmt: skip
def test_bad_heartbeats(service: Service, change: dict[str, Any]) -> None:
    customer = service.customer()
    answer = service.http.post("/v1/sync/heartbeat", json=BEAT | change, headers=bearer(customer.token))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert next(iter(change)) in answer.json()["detail"]
    assert device(service, customer)["status"] == "online"  # a contact all the same


def test_a_manifest_proves_and_names_what_is_missing(service: Service) -> None:
    customer = service.customer()
    reports = [call(f"+3247000000{i}", date_ms=START + 1_000 * i) for i in range(5)]
    reports += [call(None, "outgoing", START), call("+1", "voicemail", START), call("+2", occurrence=1)]
    service.send(customer.token, *reports[:3], *reports[6:])
    answer = send(service, customer.token, [row(report) for report in reports]).json()
    assert answer == {"missing": [3, 4, 5], "synced_through_ms": None}
    assert "x-synced-through" not in lists_headers(service, customer)
    service.send(customer.token, *reports)
    at_ms = now()
    assert prove(service, customer.token, reports, at_ms) == at_ms
    shown = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for kind in ("missed", "incoming", "outgoing"):
        assert lists_headers(service, customer, kind)["x-synced-through"] == shown
    assert service.send(customer.token)["synced_through_ms"] == at_ms
    assert device(service, customer)["synced_through"] == shown
    assert service.http.get("/v1/devices", headers=bearer(customer.key)).json()["synced_through"] == shown
    phones = service.http.get("/gateway/mobile/list/", headers=bearer(customer.key)).json()["items"]
    assert phones[0]["synced_through"] == shown[:19].replace("T", " ")


def lists_headers(service: Service, customer: Customer, kind: str = "missed") -> httpx.Headers:
    return service.http.get(f"/call/{kind}/list/", headers=bearer(customer.key)).headers


def test_no_call_answers_for_two_rows(service: Service) -> None:
    customer = service.customer()
    first, second = START // 1_000, START // 1_000 + 3_600
    service.send(customer.token, call(date_ms=START))
    one = row(call(date_ms=START))
    assert send(service, customer.token, [one, one]).json()["missing"] == [1]
    either = row(call(), first, second)
    assert send(service, customer.token, [either]).json()["missing"] == []
    assert send(service, customer.token, [either, one]).json()["missing"] == [0]  # rows with one second choose first
    assert send(service, customer.token, [row(call(occurrence=1), first, second), either]).json()["missing"] == [0]
    other = service.customer()
    service.send(other.token, call(date_ms=START, date_other_ms=START + 3_600_000, precision="s"))
    assert send(service, other.token, [one]).json()["missing"] == [0]  # undecided until a certain report comes
    assert send(service, other.token, [either]).json()["missing"] == []
    service.send(other.token, call(date_ms=START + 3_600_000))
    assert send(service, other.token, [row(call(date_ms=START + 3_600_000))]).json()["missing"] == []
    assert send(service, other.token, [either]).json()["missing"] == []


def test_another_phones_calls_prove_nothing(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call())
    code = code_for(service, customer, "second")
    token = service.http.post("/v1/devices/pair", json={"code": code}).json()["token"]
    assert send(service, token, [row(call())]).json()["missing"] == [0]


def test_the_value_is_the_reads_moment_and_never_goes_back(service: Service) -> None:
    customer = service.customer()
    at = now() - 60_000
    assert prove(service, customer.token, [], at, sent_at_ms=now()) == at
    assert prove(service, customer.token, [], at - 5_000, sent_at_ms=now()) == at  # delivered late
    assert prove(service, customer.token, [], at, sent_at_ms=now()) == at  # delivered twice
    ahead = prove(service, customer.token, [], now() + 10**9, sent_at_ms=now() + 10**9)
    assert ahead <= now()  # a clock that is ahead claims nothing to come
    late = now() + 3_000_000
    value = prove(service, service.customer().token, [], late, sent_at_ms=late + 2_000)
    assert value <= now() - 1_900  # how long ago the read was counts, whatever the clocks show


def test_a_trimmed_log_leaves_a_gap(service: Service) -> None:
    customer = service.customer()
    first = now() - 86_400_000
    assert prove(service, customer.token, [], first, sent_at_ms=now()) == first
    logs = [
        {"sim_id": "1", "rows": 500, "from_ms": first + 5_000},
        {"sim_id": "2", "rows": 500, "from_ms": first + 9_000},
        {"sim_id": None, "rows": 499, "from_ms": first + 99_000},
    ]
    second = now() - 1_000
    assert prove(service, customer.token, [], second, sent_at_ms=now(), logs=logs) == second
    [gap] = device(service, customer)["gaps"]
    assert list(gap) == ["id", "from", "to", "closed_at"]
    assert (moment(gap["from"]), moment(gap["to"]), gap["closed_at"]) == (first, first + 9_000, None)
    kept = [{"sim_id": "1", "rows": 500, "from_ms": second - 1}]
    prove(service, customer.token, [], now(), logs=kept)
    assert len(device(service, customer)["gaps"]) == 1


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def test_a_cleared_log_leaves_a_gap(service: Service) -> None:
    customer = service.customer()
    old, newest = call(date_ms=START), call(date_ms=START + 9_000)
    service.send(customer.token, old, newest, call(date_ms=START + 9_000, number="+2"))
    first = now() - 50_000
    prove(service, customer.token, [newest, old], first, sent_at_ms=now())
    second = now() - 40_000
    prove(service, customer.token, [newest], second, sent_at_ms=now())  # a row that a person deleted singly
    assert device(service, customer)["gaps"] == []
    third = now() - 30_000
    prove(service, customer.token, [old], third, sent_at_ms=now())
    [gap] = device(service, customer)["gaps"]
    assert (moment(gap["from"]), moment(gap["to"])) == (second, third)
    prove(service, customer.token, [], now(), logs=[])
    assert len(device(service, customer)["gaps"]) == 2
    prove(service, customer.token, [], now() + 5, logs=[])
    assert len(device(service, customer)["gaps"]) == 2


def test_gaps_are_closed_by_people(service: Service) -> None:
    customer, stranger = service.customer(), service.customer()
    service.send(customer.token, call())
    prove(service, customer.token, [call()], now() - 5_000, sent_at_ms=now())
    prove(service, customer.token, [], now() - 3_000, sent_at_ms=now())
    found = device(service, customer)
    [gap] = found["gaps"]
    path = f"/v1/devices/{found['id']}/gaps/{gap['id']}/close"
    for headers, status in ((bearer(stranger.key), 404), (bearer(customer.token), 401), ({}, 401)):
        assert service.http.post(path, headers=headers).status_code == status
    wrong = path.replace(gap["id"], gap["id"][:-1] + "9")
    assert service.http.post(wrong, headers=bearer(customer.key)).status_code == 404
    closed = service.http.post(path, headers=bearer(customer.key))
    assert (closed.status_code, closed.json()["gaps"][0]["closed_at"] is None) == (200, False)

    def ringback(*arguments: str) -> str:
        result = run(*arguments, "--account", customer.name, RINGBACK_DATABASE_URL=service.database_url)
        assert result.returncode == 0, result.stderr
        return result.stdout

    [listed] = json.loads(ringback("device", "gap", "list", "--format", "json"))
    assert (listed["id"], listed["device"], listed["closed_at"]) == (
        gap["id"],
        "phone",
        closed.json()["gaps"][0]["closed_at"],
    )
    ringback("device", "gap", "close", gap["id"])
    assert json.loads(ringback("device", "list", "--format", "json")) == [device(service, customer)]
    assert "open gaps" in ringback("device", "list")
    refused = run(
        "device", "gap", "close", "g1-999", "--account", customer.name, RINGBACK_DATABASE_URL=service.database_url
    )
    assert (refused.returncode, "no gap of that id" in refused.stderr) == (1, True)


def test_the_account_waits_for_its_last_phone(service: Service) -> None:
    customer = service.customer()
    early, late = now() - 9_000, now() - 1_000
    prove(service, customer.token, [], late, sent_at_ms=now())
    code = code_for(service, customer, "second")
    token = service.http.post("/v1/devices/pair", json={"code": code}).json()["token"]
    assert "x-synced-through" not in lists_headers(service, customer)  # it counts from pairing on
    prove(service, token, [], early, sent_at_ms=now())
    assert moment(lists_headers(service, customer)["x-synced-through"]) == early
    second = service.http.get("/v1/devices", headers=bearer(customer.key)).json()["devices"][1]
    service.http.delete(f"/v1/devices/{second['id']}", headers=bearer(customer.key))
    assert moment(lists_headers(service, customer)["x-synced-through"]) == late


GOOD = {"read": {"at_ms": START, "logs": []}, "sent_at_ms": START, "rows": []}
KEY = "0" * 16


@pytest.mark.parametrize(
    "change",
    [
        {"read": None}, {"read": []}, {"read": {"at_ms": START}}, {"read": {"logs": []}}, {"sent_at_ms": None},
        {"sent_at_ms": 1.5}, {"sent_at_ms": -1}, {"sent_at_ms": 10**15}, {"rows": None}, {"rows": {}}, {"rows": [5]},
        {"rows": [["in", [5], KEY]]}, {"rows": [["up", [5], KEY, 0]]}, {"rows": [["in", [], KEY, 0]]},
        {"rows": [["in", [1, 2, 3], KEY, 0]]}, {"rows": [["in", [1.5], KEY, 0]]}, {"rows": [["in", 5, KEY, 0]]},
        {"rows": [["in", [5], "0", 0]]}, {"rows": [["in", [5], "G" * 16, 0]]}, {"rows": [["in", [5], 5, 0]]},
        {"rows": [["in", [5], KEY, -1]]}, {"rows": [["in", [5], KEY, True]]}, {"rows": [["in", [10**12], KEY, 0]]},
        {"rows": [["in", [5], KEY.replace("0", "A"), 0]]}, {"rows": [[["in"], [5], KEY, 0]]},
        {"read": {"at_ms": START, "logs": [{"sim_id": "1", "rows": -1, "from_ms": 0}]}},
        {"read": {"at_ms": START, "logs": [{"sim_id": 1, "rows": 1, "from_ms": 0}]}},
        {"read": {"at_ms": START, "logs": [{"sim_id": "1", "rows": 1}]}},
        {"read": {"at_ms": START, "logs": [5]}},
    ],
)  # fmt: skip
def test_bad_manifests(service: Service, change: dict[str, Any]) -> None:
    customer = service.customer()
    answer = service.http.post("/v1/sync/manifest", json=GOOD | change, headers=bearer(customer.token))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert device(service, customer)["synced_through"] is None


def test_large_manifests(service: Service) -> None:
    customer = service.customer()
    rows = [["in", [5 + i], KEY, 0] for i in range(50_000)]
    assert len(send(service, customer.token, rows).json()["missing"]) == 50_000
    answer = send(service, customer.token, [*rows, ["in", [1], KEY, 0]])
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_health_by_the_phones_own_rhythm(service: Service) -> None:
    customer = service.customer()
    hour = 3_600_000

    def contacts(*ago_ms: int) -> None:
        async def note(connection: Any) -> None:
            await connection.execute("update devices set last_seen_ms = null, contact_ms = null, intervals = null")
            for ago in ago_ms:
                await note_seen(connection, customer.id, 1, now() - ago)

        on_database(service.database_url, note)

    def status() -> str:
        return str(device(service, customer)["status"])

    assert status() == "never"
    for ago, expected in ((29, "online"), (31, "late"), (119, "late"), (121, "silent")):
        contacts(ago * 60_000)
        assert status() == expected, ago
    daily = [day * 24 * hour for day in range(9, 0, -1)]
    for ago, expected in ((47, "online"), (49, "late"), (191, "late"), (193, "silent")):
        contacts(*(one + ago * hour for one in daily), ago * hour)
        assert status() == expected, ago
    weekly = [week * 7 * 24 * hour for week in range(5, 0, -1)]
    contacts(*(one + 49 * hour for one in weekly), 49 * hour)
    assert status() == "late"  # no rhythm is longer than a day
    minutes = [minute * 60_000 for minute in (64, 63, 62, 61, 60)]
    contacts(*minutes)
    kept = on_database(service.database_url, lambda c: c.fetch("select intervals from devices where contact_ms > 0"))
    assert kept[-1][0] is None  # nearer requests belong to one contact
    contacts(*(n * 2 * hour for n in range(40, 0, -1)))
    [stored] = on_database(
        service.database_url, lambda c: c.fetch("select intervals from devices where account_id = $1", customer.id)
    )
    assert len(json.loads(stored[0])) == 20


def test_the_agent_proves_each_read(service: Service, tmp_path: Path) -> None:
    paired = Paired(service, tmp_path / "phone")
    for place in range(30):
        paired.phone.call(f"+{place}", START + 1_000 * place, subscription_id=str(place % 2))
    before = now()
    paired.phone.ok("sync")
    value = moment(device(service, paired.customer)["synced_through"])
    assert before <= value <= now()
    assert "known complete up to: 20" in paired.phone.ok("status")

    # A server that was put back to an older copy misses what the agent holds for sent.
    async def forget(connection: Any) -> None:
        await connection.execute("delete from calls where account_id = $1 and id > 10", paired.customer.id)

    on_database(service.database_url, forget)
    assert "The server misses 20 calls" in paired.phone.ok("sync")
    assert len(paired.stored()) == 30
    paired.phone.rows.clear()
    paired.phone.call("+99", now())
    paired.phone.ok("sync")
    [gap] = device(service, paired.customer)["gaps"]
    assert moment(gap["from"]) >= value
    found = device(service, paired.customer)
    assert (found["battery"], found["time_zone"], found["permission"]) == (80, "Europe/Brussels", "ok")
    paired.phone.fault = "denied"
    paired.phone.failed("sync")
    paired.phone.failed("sync")
    assert device(service, paired.customer)["permission"] == "denied"


def test_rejected_rows_are_sent_again_before_each_manifest(service: Service, tmp_path: Path) -> None:
    paired = Paired(service, tmp_path / "phone")
    paired.phone.call("+1", START, name="x" * 600)
    paired.phone.call("+2", START)
    for _ in range(2):
        assert "1 rejected" in paired.phone.ok("sync")
        assert device(service, paired.customer)["synced_through"]
    paired.phone.rows[0]["name"] = "shorter"
    assert "1 created" in paired.phone.ok("sync")
