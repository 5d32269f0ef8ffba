"""`/v1/calls`: pages by cursor while others write, filters, totals, and calls that are deleted and stay so."""

from __future__ import annotations

import os
import random
import threading
from typing import Any

import httpx2 as httpx
import pytest

from ringback.times import rfc3339
from service import Customer, Service, bearer, call, make_member, on_database, run
from test_access import browser
from test_filters import Shop
from test_kills import new_seed
from test_proof import row
from test_proof import send as send_manifest
from test_undecided import FIRST, SECOND, certain, either, moments
from test_writers import check_counts, new_phone

FIELDS = [
    "id", "device_id", "kind", "number", "number_e164", "name", "geo_location", "started_at", "started_at_ms",
    "precision", "duration_sec", "presentation", "country_iso", "sim_id", "type_raw", "source", "created_at",
    "updated_at", "change",
]  # fmt: skip
START = 1_761_231_000_000


@pytest.fixture(scope="module")
def shop(service: Service) -> Shop:
    return Shop(service)


def get(service: Service, customer: Customer, path: str = "", status: int = 200, **parameters: Any) -> Any:
    answer = service.http.get(f"/v1/calls{path}", params=parameters, headers=bearer(customer.key))
    assert answer.status_code == status, answer.text
    return answer.json()


def all_pages(service: Service, customer: Customer, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = get(service, customer, **parameters, cursor=cursor)
        assert len(answer["calls"]) <= int(parameters.get("limit", 50))
        found += answer["calls"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found
        assert answer["calls"]


def test_a_call_has_all_its_fields(service: Service) -> None:
    customer = service.customer()
    report = call(
        "(202) 555-0123", "incoming", START + 250, duration_sec=61, cached_name="Anna", geo_location="Gent",
        country_iso="us", presentation="allowed", sim_id="1", type_raw=1, source="provider",
    )  # fmt: skip
    service.send(customer.token, report, call(None, "voicemail", START - 60_000, precision="s"))
    answer = get(service, customer, total=1)
    assert list(answer) == ["calls", "next_cursor", "synced_through", "total", "total_exact"]
    assert (answer["next_cursor"], answer["synced_through"]) == (None, None)
    assert (answer["total"], answer["total_exact"]) == (2, True)
    one, hidden = answer["calls"]
    assert list(one) == FIELDS
    shown = {name: one[name] for name in FIELDS if name not in ("id", "device_id", "created_at", "updated_at")}
    assert shown == {
        "kind": "incoming", "number": "(202) 555-0123", "number_e164": "+12025550123", "name": "Anna",
        "geo_location": "Gent", "started_at": rfc3339(START + 250), "started_at_ms": START + 250, "precision": "ms",
        "duration_sec": 61, "presentation": "allowed", "country_iso": "us", "sim_id": "1", "type_raw": "1",
        "source": "provider", "change": 1,
    }  # fmt: skip
    assert (hidden["number"], hidden["number_e164"], hidden["precision"]) == ("", None, "s")
    assert get(service, customer, f"/{one['id']}") == one
    assert get(service, customer)["calls"] == [one, hidden]
    assert service.http.head("/v1/calls", headers=bearer(customer.key)).content == b""


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("+12025550123", None, "+12025550123"), ("2025550123", None, None), ("020 7946 0000", "GB", "+442079460000"),
        ("*31#", "GB", None), ("1919", "VN", None), ("+44 20 7946 0000", "xx", "+442079460000"),
        ("Vodafone", "DE", None),
    ],
)  # fmt: skip
def test_e164(service: Service, number: str, country: str | None, expected: str | None) -> None:
    customer = service.customer()
    service.send(customer.token, call(number, country_iso=country))
    assert get(service, customer)["calls"][0]["number_e164"] == expected


def test_filters_and_orders_against_an_oracle(shop: Shop) -> None:
    for _ in range(100):
        given = shop.parameters()
        expected = shop.expected(given)
        limit = shop.random.randrange(1, 60)
        found = all_pages(shop.service, shop.customer, **given, limit=limit)
        assert [one["id"] for one in found] == expected, given
        assert get(shop.service, shop.customer, **given, total=1)["total"] == len(expected), given


def test_many_calls_at_one_moment(service: Service) -> None:
    customer = service.customer()
    reports = [call("+1", "incoming", START, occurrence=n) for n in range(40)]
    service.send(customer.token, *reports, call(date_ms=START + 1_000), call(date_ms=START - 1_000))
    for order in ("started_at", "-started_at"):
        found = [one["change"] for one in all_pages(service, customer, limit=7, sort=order)]
        assert found == [42, *range(1, 41), 41][:: 1 if order == "started_at" else -1]


STANDING = int(os.environ.get("STANDING") or 6_000)
"""Calls that stand all the while; 100,000 is the long form."""


def test_pages_while_others_write(database_url: str) -> None:
    """Each call that stands all the while comes exactly once."""
    seed = new_seed()
    print(f"seed {seed}")
    service = Service(database_url)
    try:
        customer = service.customer()
        tokens = [new_phone(service, customer.id, f"phone {n}") for n in range(4)]
        standing = [
            call(f"+1{n:06}", date_ms=START + n // 3 * 1_000, precision="s", source="termux") for n in range(STANDING)
        ]
        for start in range(0, len(standing), 1_500):
            service.send(customer.token, *standing[start : start + 1_500])
        wanted = {one["id"] for one in all_pages(service, customer, limit=500)}
        assert len(wanted) == len(standing)
        done = threading.Event()

        def write(token: str, generator: random.Random) -> None:
            client = httpx.Client(base_url=service.url, timeout=60, trust_env=False)

            def send(with_token: str, *reports: Any) -> Any:
                answer = client.post("/v1/sync/calls", json={"calls": reports}, headers=bearer(with_token))
                return answer.json()["results"]

            while not done.is_set():
                # Calls whose milliseconds become known move within their second.
                moved = [
                    {**one, "date_ms": one["date_ms"] + generator.randrange(1_000), "precision": "ms"}
                    for one in generator.sample(standing, 20)
                ]
                send(customer.token, *moved)
                at = START + generator.randrange(STANDING // 3 * 1_000)
                results = send(token, call(f"+2{generator.randrange(10**9)}", date_ms=at))
                client.delete(f"/v1/calls/{results[0]['id']}", headers=bearer(customer.key))

        writers = [
            threading.Thread(target=write, args=(token, random.Random(seed + n))) for n, token in enumerate(tokens)
        ]
        for writer in writers:
            writer.start()
        try:
            for order in ("started_at", "-started_at"):
                found = [one["id"] for one in all_pages(service, customer, limit=100, sort=order)]
                assert sorted(id for id in found if id in wanted) == sorted(wanted)
        finally:
            done.set()
            for writer in writers:
                writer.join()
        check_counts(database_url, customer.id)
    finally:
        service.stop()


def test_a_deleted_call_stays_deleted(service: Service) -> None:
    customer = service.customer()
    reports = [call(cached_name="Anna"), call("+32470000001", "outgoing"), call(date_ms=START + 9_000, occurrence=0)]
    first, *others = [result["id"] for result in service.send(customer.token, *reports)["results"]]
    headers = bearer(customer.key)
    answer = service.http.delete(f"/v1/calls/{first}", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert service.http.delete(f"/v1/calls/{first}", headers=headers).status_code == 404
    assert get(service, customer, f"/{first}", status=404)["code"] == "not_found"
    assert sorted(one["id"] for one in get(service, customer)["calls"]) == sorted(others)
    assert get(service, customer, total=1)["total"] == 2
    check_counts(service.database_url, customer.id)
    again = service.send(customer.token, *reports, {**reports[0], "cached_name": "Bea", "source": "provider"})[
        "results"
    ]
    assert [result["status"] for result in again] == ["duplicate"] * 4
    assert again[0]["id"] == again[3]["id"] == first
    assert len(get(service, customer)["calls"]) == 2
    assert service.http.get("/call/missed/list/", params={"apikey": customer.key}).json()["count"] == 1
    # For the manifest it is present; another one of equal kind is a new call.
    assert send_manifest(service, customer.token, [row(report) for report in reports]).json()["missing"] == []
    assert service.statuses(customer.token, call(occurrence=1)) == ["created"]


@pytest.mark.parametrize("decision", [FIRST + 250, SECOND + 250])
def test_an_undecided_call_that_was_deleted(service: Service, decision: int) -> None:
    customer = service.customer()
    first, second = (one["id"] for one in service.send(customer.token, either(0), either(1))["results"])
    service.http.delete(f"/v1/calls/{first}", headers=bearer(customer.key))
    assert service.statuses(customer.token, either(0), either(1)) == ["duplicate", "duplicate"]
    # The oldest undecided call takes the certain moment: that is the deleted one, which stays deleted.
    assert service.statuses(customer.token, certain(decision), either(0)) == ["duplicate", "duplicate"]
    assert moments(service, customer) == [(FIRST, True)]
    assert service.statuses(customer.token, certain(decision), either(1)) == ["duplicate", "duplicate"]
    assert [one["id"] for one in get(service, customer)["calls"]] == [second]
    rows = [row(either(0), FIRST // 1_000, SECOND // 1_000), row(either(1), FIRST // 1_000, SECOND // 1_000)]
    assert send_manifest(service, customer.token, rows).json()["missing"] == []


def test_cursors_that_are_refused(service: Service) -> None:
    customer, stranger = service.customer(), service.customer()
    for one in (customer, stranger):
        service.send(one.token, *(call(f"+{n}", date_ms=START + n * 1_000) for n in range(9)))
    cursor = get(service, customer, limit=2)["next_cursor"]
    assert len(get(service, customer, limit=3, cursor=cursor)["calls"]) == 3
    for bad in ("x", cursor[:-2], cursor[:-4] + "AAAA", "A" * 500, "é"):
        assert get(service, customer, cursor=bad, status=400)["code"] == "invalid_parameter"
    for other in ({"kind": "missed"}, {"sort": "started_at"}, {"q": "1"}):
        assert get(service, customer, cursor=cursor, status=400, **other)["code"] == "invalid_parameter"
    assert get(service, stranger, cursor=cursor, status=400)["code"] == "invalid_parameter"


@pytest.mark.parametrize(
    "query", ["sort=x", "limit=x", "kind=x", "device=d0-0", "from=x", "total=2", "q=%ff", "min_duration=1.5"]
)
def test_what_cannot_be_read(service: Service, query: str) -> None:
    customer = service.customer()
    answer = service.http.get(f"/v1/calls?{query}", headers=bearer(customer.key))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert query.split("=")[0] in answer.json()["detail"]
    assert service.http.get(f"/v1/calls?{query}").json()["code"] == "invalid_token"


def test_bounds_and_strangers(service: Service) -> None:
    customer, stranger = service.customer(), service.customer()
    service.send(customer.token, *(call(f"+{n}", date_ms=START + n * 1_000) for n in range(9)))
    for limit, count in (("0", 1), ("-5", 1), ("1" * 1_000_0, 9), ("5", 5)):
        assert len(get(service, customer, limit=limit)["calls"]) == count
    assert get(service, customer, **{"from": "2025-12-01", "to": "2025-01-01"})["calls"] == []
    [one] = get(service, customer, limit=1)["calls"]
    assert get(service, stranger, f"/{one['id']}", status=404)["code"] == "not_found"
    assert service.http.delete(f"/v1/calls/{one['id']}", headers=bearer(stranger.key)).status_code == 404
    run("account", "set-until", customer.name, "2020-01-01", RINGBACK_DATABASE_URL=service.database_url)
    for path in ("", f"/{one['id']}"):
        assert get(service, customer, path, status=403)["code"] == "api_expired"
    assert service.http.delete(f"/v1/calls/{one['id']}", headers=bearer(customer.key)).status_code == 403


def test_with_a_session(service: Service) -> None:
    customer = service.customer()
    [result] = service.send(customer.token, call())["results"]
    with browser(service, make_member(service.database_url, customer.id, "viewer")) as client:
        assert client.get("/v1/calls", headers={"Accept": "application/json"}).json()["calls"][0]["id"] == result["id"]
        assert client.delete(f"/v1/calls/{result['id']}").status_code == 403
    with browser(service, make_member(service.database_url, customer.id, "manager")) as client:
        assert (
            client.delete(f"/v1/calls/{result['id']}", headers={"Origin": "https://other.example"}).status_code == 403
        )
        assert client.delete(f"/v1/calls/{result['id']}").status_code == 204
    rows = on_database(
        service.database_url, lambda c: c.fetch("select id from tombstones where account_id = $1", customer.id)
    )
    assert len(rows) == 1
