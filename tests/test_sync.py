"""Calls come in: what a phone posts, what it is answered, what is kept."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ringback.devices import revoke_device
from service import Service, bearer, call, on_database

CASES = Path(__file__).parent / "cases"


def stored(service: Service, account_id: int) -> list[dict[str, Any]]:
    """The account's calls in the order of their arrival."""
    columns = (
        "kind, number, name, geo_location, at_ms, precise, duration_s, presentation, country_iso, sim_id, type_raw,"
        " source, occurrence, change"
    )
    sql = f"select {columns} from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
    rows = on_database(
        service.database_url, lambda c: c.fetch(f"{sql} where c.account_id = $1 order by c.id", account_id)
    )
    return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]


def rejected(service: Service, token: str, **parameters: Any) -> dict[str, Any]:
    answer = service.http.get("/v1/sync/rejected", params=parameters, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_answer_has_one_result_for_each_report(service: Service) -> None:
    customer = service.customer()
    answer = service.send(
        customer.token, call(), call("+12025550101", "incoming", duration_sec=9), call(), {"number": 1}
    )
    assert list(answer) == [
        "results", "created", "updated", "duplicate", "withheld", "rejected", "synced_through_ms",
    ]  # fmt: skip
    first, second, third, fourth = answer["results"]
    assert first["status"] == second["status"] == "created"
    assert third == {"status": "duplicate", "id": first["id"]}
    assert first["id"] != second["id"]
    assert all(type(result["id"]) is str for result in (first, second))
    assert (fourth["status"], fourth["id"]) == ("rejected", None)
    assert fourth["error"].startswith("number must be null or text")
    counts = [answer[name] for name in ("created", "updated", "duplicate", "withheld", "rejected")]
    assert counts == [2, 0, 1, 0, 1]
    assert answer["synced_through_ms"] is None


def test_case_27_sent_twice(service: Service) -> None:
    customer = service.customer()
    body = (CASES / "case-27-sync-twice.json").read_bytes()
    first = service.sync(customer.token, body).json()["results"]
    assert [result["status"] for result in first] == ["created", "duplicate", "updated"]
    assert len({result["id"] for result in first}) == 1
    again = service.sync(customer.token, body).json()["results"]
    assert [result["status"] for result in again] == ["duplicate"] * 3
    [kept] = stored(service, customer.id)
    assert (kept["name"], kept["change"]) == ("Now known", 1)


def test_case_3_half_an_emoji_blocks_no_other(service: Service) -> None:
    customer = service.customer()
    body = (CASES / "case-03-sync-half-emoji.json").read_bytes()
    for statuses in (["created", "rejected", "created"], ["duplicate", "rejected", "duplicate"]):
        answer = service.sync(customer.token, body)
        assert [result["status"] for result in answer.json()["results"]] == statuses
    assert {row["name"] for row in stored(service, customer.id)} == {"Before", "After 😀"}
    raw = service.http.get("/v1/sync/rejected", headers=bearer(customer.token))
    assert raw.status_code == 200
    [kept] = raw.json()["rejected"]
    assert kept["report"] == json.loads(body)["calls"][1]
    assert "\\ud83d" in raw.text


def test_invalid_utf8_blocks_no_other(service: Service) -> None:
    customer = service.customer()
    bad, good = (json.dumps({"calls": [call(cached_name="X")]}), json.dumps(call("+12025550101")))
    body = bad.encode().replace(b'"X"', b'"\xff\xfe"').replace(b"]}", b", " + good.encode() + b"]}")
    results = service.sync(customer.token, body).json()["results"]
    assert [result["status"] for result in results] == ["rejected", "created"]


def test_case_37_durations(service: Service) -> None:
    customer = service.customer()
    durations = [
        "-1",
        "2147483648",
        "9223372036854775808",
        "1e400",
        "1.5",
        '"12"',
        "true",
        "null",
        "[]",
        "9" * 5000,
        "7",
    ]
    reports = [
        json.dumps(call(date_ms=1_761_231_000_000 + 1_000 * place, duration_sec="DURATION")).replace('"DURATION"', text)
        for place, text in enumerate(durations)
    ]
    answer = service.sync(customer.token, f'{{"calls": [{", ".join(reports)}]}}'.encode())
    assert [result["status"] for result in answer.json()["results"]] == ["rejected"] * 10 + ["created"]
    kept = service.http.get("/v1/sync/rejected", headers=bearer(customer.token))
    for text in durations[:-1]:
        assert f'"duration_sec": {text}}}' in kept.text  # as it was sent


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"number": ...}, "number is missing; it must be"),
        ({"type": ...}, "type is missing; it must be"),
        ({"date_ms": ...}, "date_ms is missing; it must be"),
        ({"duration_sec": ...}, "duration_sec is missing; it must be"),
        ({"number": 12025550100}, "number must be null or text"),
        ({"number": "1" * 101}, "number must be null or text of at most 100 characters"),
        ({"number": "1\0"}, "number must be"),
        ({"type": "MISSED"}, "type must be one of unknown, incoming"),
        ({"type": None}, "type must be one of"),
        ({"date_ms": 1_761_231_000}, "date_ms is before 1990"),
        ({"date_ms": 631_151_999_999}, "date_ms is before 1990"),
        ({"date_ms": -1}, "date_ms is before 1990"),
        ({"date_ms": 1_761_231_000_000_000}, "date_ms is more than 24 hours ahead"),
        ({"date_ms": 1_761_231_000_000.5}, "date_ms must be a whole number"),
        ({"date_ms": True}, "date_ms must be a whole number"),
        ({"precision": "us"}, "precision must be one of ms, s"),
        ({"cached_name": "n" * 501}, "cached_name must be text of at most 500"),
        ({"cached_name": 5}, "cached_name must be text"),
        ({"geo_location": "g" * 501}, "geo_location must be text of at most 500"),
        ({"occurrence": -1}, "occurrence must be a whole number from 0"),
        ({"occurrence": 2**31}, "occurrence must be a whole number from 0"),
        ({"country_iso": "c" * 101}, "country_iso must be text of at most 100"),
        ({"presentation": "hidden"}, "presentation must be one of allowed"),
        ({"sim_id": 1}, "sim_id must be text"),
        ({"type_raw": 1.5}, "type_raw must be a whole number or text"),
        ({"type_raw": True}, "type_raw must be a whole number or text"),
        ({"source": "s" * 101}, "source must be text of at most 100"),
        ({"tz_offset_min": 1441}, "tz_offset_min must be a whole number from -1440"),
    ],
)
def test_bad_reports(service: Service, change: dict[str, Any], error: str) -> None:
    customer = service.customer()
    report = {name: value for name, value in (call() | change).items() if value is not ...}
    [bad, good] = service.send(customer.token, report, call("+12025550101"))["results"]
    assert (bad["status"], good["status"]) == ("rejected", "created")
    assert bad["error"].startswith(error)
    [kept] = rejected(service, customer.token)["rejected"]
    assert (kept["report"], kept["error"], kept["place"]) == (report, bad["error"], None)


@pytest.mark.parametrize("report", [5, "text", None, [], [call()], True])
def test_reports_that_are_no_objects(service: Service, report: Any) -> None:
    customer = service.customer()
    assert service.statuses(customer.token, report, call()) == ["rejected", "created"]
    [kept] = rejected(service, customer.token)["rejected"]
    assert kept["report"] == report


def test_bounds_that_are_still_good(service: Service) -> None:
    customer = service.customer()
    now = int(time.time() * 1_000)
    reports = [
        call(date_ms=631_152_000_000),
        call(date_ms=now + 86_390_000, duration_sec=2**31 - 1, occurrence=2**31 - 1),
        call(cached_name="n" * 500, geo_location="g" * 500, country_iso="DE", presentation="allowed", sim_id="1"),
        call("1" * 100, type_raw=10, source="x", tz_offset_min=-1_440, precision="s", anything=["else"]),
        call(date_ms=1_761_231_000_000 + 5_000, **dict.fromkeys(("precision", "cached_name", "occurrence", "source"))),
    ]
    assert service.statuses(customer.token, *reports) == ["created"] * 5


def test_fields_are_kept(service: Service) -> None:
    customer = service.customer()
    full = call(
        " +12025550100 ", "incoming", 1_761_231_000_250, duration_sec=7, cached_name="Anna", geo_location="Köln",
        occurrence=3, country_iso="DE", presentation="allowed", sim_id="1", type_raw=1, source="provider",
    )  # fmt: skip
    service.send(customer.token, full, call("+1", precision="s", date_ms=1_761_231_000_999, cached_name="", source=" "))
    first, second = stored(service, customer.id)
    assert first == {
        "kind": 1, "number": "+12025550100", "name": "Anna", "geo_location": "Köln", "at_ms": 1_761_231_000_250,
        "precise": 1, "duration_s": 7, "presentation": 1, "country_iso": "DE", "sim_id": "1", "type_raw": "1",
        "source": "provider", "occurrence": 3, "change": 1,
    }  # fmt: skip
    assert (second["at_ms"], second["precise"], second["name"], second["source"]) == (1_761_231_000_000, 0, None, None)


def test_what_makes_calls_the_same(service: Service) -> None:
    customer = service.customer()
    base = call("+1 202 555 0117", "missed", 1_761_231_000_250)
    assert service.statuses(customer.token, base) == ["created"]
    same: list[dict[str, Any]] = [
        {"number": "+12025550117"},
        {"number": "\u202a+1 202 555 0117\u202c"},
        {"date_ms": 1_761_231_000_999},
        {"type": "rejected"},
        {"type": "unknown"},
        {"occurrence": None},
    ]
    other: list[dict[str, Any]] = [
        {"number": "12025550117"},
        {"number": None},
        {"date_ms": 1_761_231_001_000},
        {"type": "outgoing"},
        {"type": "voicemail"},
        {"occurrence": 1},
    ]
    for change in same:
        assert service.statuses(customer.token, base | change) != ["created"], change
    for change in other:
        assert service.statuses(customer.token, base | change) == ["created"], change


def test_another_device_is_another_call(service: Service) -> None:
    customer, other = service.customer(), service.customer()
    assert service.statuses(customer.token, call()) == service.statuses(other.token, call()) == ["created"]


def test_gzip_bodies(service: Service) -> None:
    customer = service.customer()
    body = gzip.compress(json.dumps({"calls": [call()]}).encode())
    halves = gzip.compress(b'{"calls": ') + gzip.compress(b"[]}")
    assert service.sync(customer.token, body, **{"Content-Encoding": "gzip"}).json()["created"] == 1
    assert service.sync(customer.token, halves, **{"Content-Encoding": "GZIP"}).json()["created"] == 0


DEEP = b'{"calls": [' + b"[" * 200 + b"]" * 200 + b"]}"
TOO_DEEP = b'{"calls": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}"


GZIP = {"Content-Encoding": "gzip"}
BAD = (400, "invalid_parameter")
LARGE = (413, "payload_too_large")
REFUSED: dict[str, tuple[bytes, dict[str, str], tuple[int, str]]] = {
    "empty": (b"", {}, BAD),
    "text": (b"no JSON", {}, BAD),
    "nan": (b'{"calls": [NaN]}', {}, BAD),
    "escape": (b'{"calls": ["\\q"]}', {}, BAD),
    "list": (b"[]", {}, BAD),
    "calls is an object": (b'{"calls": {}}', {}, BAD),
    "no calls": (b"{}", {}, BAD),
    "deep": (DEEP, {}, BAD),
    "too deep for Python": (TOO_DEEP, {}, BAD),
    "no gzip": (b"no gzip", GZIP, BAD),
    "gzip cut off": (gzip.compress(b'{"calls": []}')[:-5], GZIP, BAD),
    "brotli": (b'{"calls": []}', {"Content-Encoding": "br"}, BAD),
    "gzip bomb": (gzip.compress(b" " * 4_000_001), GZIP, LARGE),
    "too large": (b" " * 4_000_001, {}, LARGE),
    "far too large": (b" " * 31_000_000, {}, LARGE),
    "too many": (json.dumps({"calls": [5] * 5_001}).encode(), {}, LARGE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bodies_that_are_refused(service: Service, name: str) -> None:
    body, headers, (status, code) = REFUSED[name]
    customer = service.customer()
    answer = service.sync(customer.token, body, **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    assert rejected(service, customer.token)["rejected"] == []


def test_most_reports_at_once(service: Service) -> None:
    customer = service.customer()
    body = json.dumps({"calls": [call(date_ms=1_700_000_000_000 + 1_000 * i) for i in range(5_000)]}).encode()
    assert len(body) < 4_000_000
    padded = body + b" " * (4_000_000 - len(body))
    assert service.sync(customer.token, padded).json()["created"] == 5_000
    assert service.sync(customer.token, padded).json()["duplicate"] == 5_000


def test_tokens(service: Service) -> None:
    customer = service.customer()
    wrong = [
        {},
        {"Authorization": "Bearer"},
        bearer("rbd_1_" + "a" * 32),
        bearer(customer.key),
        bearer(customer.token + "a"),
        bearer(customer.token.upper()),
        {"Authorization": f"Basic {customer.token}"},
    ]
    for headers in wrong:
        answer = service.http.post("/v1/sync/calls", json={"calls": []}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), headers
        assert answer.headers["www-authenticate"] == "Bearer"
    assert service.sync(customer.token, {"calls": []}, Authorization=f"bEaReR {customer.token}").status_code == 200
    on_database(service.database_url, lambda c: revoke_device(c, customer.id, "phone"))
    assert service.sync(customer.token, {"calls": []}).json()["code"] == "invalid_token"


def test_an_expired_account_still_takes_calls_in(service: Service) -> None:
    customer = service.customer(until="2020-01-01")
    assert service.statuses(customer.token, call(), 5) == ["created", "rejected"]
    assert len(rejected(service, customer.key)["rejected"]) == 1


def test_rejected_reports_are_kept_once_and_paged(service: Service) -> None:
    customer, stranger = service.customer(), service.customer()
    reports = [{"number": str(i)} for i in range(7)]
    service.send(customer.token, *reports)
    service.send(customer.token, *(dict(reversed(list((report | {"a": 1, "b": 2}).items()))) for report in reports))
    service.send(customer.token, *reports, *(report | {"a": 1, "b": 2} for report in reports))

    pages, cursor = [], None
    while True:
        page = rejected(service, customer.token, limit=5, **({"cursor": cursor} if cursor else {}))
        pages.append(page["rejected"])
        if (cursor := page["next_cursor"]) is None:
            break
        last = cursor
    assert [len(page) for page in pages] == [5, 5, 4]
    kept = [one["report"]["number"] for page in pages for one in page]
    assert kept == [report["number"] for report in reports] * 2
    assert list(pages[0][0]) == ["id", "device_id", "received_at", "error", "report", "place"]
    assert len(rejected(service, customer.key)["rejected"]) == 14
    assert rejected(service, stranger.key)["rejected"] == []
    assert rejected(service, stranger.token)["rejected"] == []

    for bad in (last[:-2] + ("AA" if last[-2:] != "AA" else "BB"), "A" * 40, "é", "%", last + "AAAA"):
        answer = service.http.get("/v1/sync/rejected", params={"cursor": bad}, headers=bearer(customer.key))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), bad
    answer = service.http.get("/v1/sync/rejected", params={"cursor": last}, headers=bearer(stranger.key))
    assert answer.status_code == 400
    answer = service.http.get("/v1/sync/rejected", params={"limit": "abc"}, headers=bearer(customer.key))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_cursor_of_another_history_or_ahead(database_url: str) -> None:
    service = Service(database_url)
    try:
        customer = service.customer()
        service.send(customer.token, *range(600))
        cursor = rejected(service, customer.key)["next_cursor"]

        def code() -> tuple[int, str]:
            answer = service.http.get("/v1/sync/rejected", params={"cursor": cursor}, headers=bearer(customer.key))
            return answer.status_code, answer.json().get("code")

        on_database(database_url, lambda c: c.execute("update accounts set last_rejected = 50"))
        assert code() == (410, "cursor_expired")
        on_database(database_url, lambda c: c.execute("update accounts set last_rejected = 600"))
        assert code()[0] == 200
        on_database(database_url, lambda c: c.execute("update installation set history = '00'"))
        assert code() == (410, "cursor_expired")
    finally:
        service.stop()


def test_sync_needs_no_other_method(service: Service) -> None:
    answer = service.http.get("/v1/sync/calls")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert service.http.get("/v1/nothing").json()["code"] == "not_found"
