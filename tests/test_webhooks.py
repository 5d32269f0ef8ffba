"""Webhooks: what is told to whom, how it is signed, when it is tried again, and what endpoints may be asked for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks import Webhook as StandardWebhook

from receiver import Received, Receiver, status, wait_until
from ringback.events import TYPES
from ringback.times import DAY_MS, now_ms, rfc3339, utc_text
from service import Customer, Service, bearer, call, make_customer, on_database, remember, run

LOCAL = {"RINGBACK_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def service(request: pytest.FixtureRequest, fresh: Callable[[str], str]) -> Iterator[Service]:
    """A server that may send to the loopback, and tries three times."""
    service = Service(fresh(request.param), variables=LOCAL | {"RINGBACK_WEBHOOK_RETRIES": "0.2,0.4"})
    yield service
    service.stop()


class Shop:
    """A customer with an endpoint."""

    def __init__(self, service: Service, url: str, *events: str, customer: Customer | None = None) -> None:
        self.service, self.customer = service, customer or service.customer()
        made = self.ask("POST", "/webhooks", {"url": url, "events": list(events or TYPES)}, 201)
        self.webhook, self.secret = made["id"], made["secret"]
        remember(self.secret)

    def ask(self, method: str, path: str, body: Any = None, expected: int = 200) -> Any:
        answer = self.service.http.request(method, f"/v1{path}", json=body, headers=bearer(self.customer.key))
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    def send(self, *calls: Any) -> list[dict[str, Any]]:
        return list(self.service.send(self.customer.token, *calls)["results"])

    def deliveries(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return list(self.ask("GET", f"/webhooks/{self.webhook}/deliveries")["deliveries"])[::-1]

    def wait_for(self, *statuses: str) -> list[dict[str, Any]]:
        wait_until(lambda: [one["status"] for one in self.deliveries()] == list(statuses))
        return self.deliveries()


def fresh_call(number: str = "+12025550123", type: str = "missed", **more: Any) -> Any:
    return call(number, type, more.pop("date_ms", now_ms() - 60_000), **more)


def verify(received: Received, *secrets: str) -> None:
    """Both signatures, as the contract and the two specifications say; the first secret is the oldest valid one."""
    headers, body = received.headers, received.body.decode()
    stamp = headers["x-smsmobileapi-timestamp"]
    expected = hmac.new(secrets[0].encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    assert headers["x-smsmobileapi-signature"] == f"v1={expected}"
    assert abs(int(stamp) - received.at) < 60
    event = received.event
    assert headers["x-smsmobileapi-event"] == event["type"]
    assert headers["x-smsmobileapi-event-id"] == headers["idempotency-key"] == headers["webhook-id"] == event["id"]
    assert headers["webhook-timestamp"] == stamp
    assert len(headers["webhook-signature"].split()) == len(secrets)
    for secret in secrets:
        StandardWebhook(secret).verify(received.body, headers)


def test_a_missed_call_is_told_and_signed(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    at = now_ms() - 60_000
    [result] = shop.send(fresh_call("+1 (202) 555-0123", date_ms=at, cached_name="Anna"))
    [received] = receiver.wait_for(1)
    verify(received, shop.secret)
    event = received.event
    assert list(event) == ["id", "type", "api_version", "created_at", "occurred_at", "data"]
    assert (event["type"], event["api_version"]) == ("call.missed", "2026-09-22")
    assert event["occurred_at"] == rfc3339(at)
    data = event["data"]
    assert list(data) == ["guid", "number", "name", "duration_seconds", "device_id", "call_at", "call"]
    shown = shop.ask("GET", f"/calls/{result['id']}")
    assert data == {
        "guid": result["id"], "number": "+1 (202) 555-0123", "name": "Anna", "duration_seconds": 0,
        "device_id": shown["device_id"], "call_at": utc_text(at), "call": shown,
    }  # fmt: skip
    [delivery] = shop.wait_for("delivered")
    assert (delivery["event_id"], delivery["type"]) == (event["id"], "call.missed")
    assert delivery["change"] == shown["change"] + 1
    [attempt] = delivery["attempts"]
    assert (attempt["number"], attempt["status"], attempt["error"], attempt["answer"]) == (1, 202, None, "")
    assert delivery["next_attempt_at"] is None


def test_each_list_has_its_event(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url)
    kinds = ("missed", "incoming", "outgoing", "voicemail", "rejected", "blocked", "answered_elsewhere", "unknown")
    shop.send(*[fresh_call(f"+120255501{place:02}", kind) for place, kind in enumerate(kinds)])
    receiver.wait_for(3)
    shop.wait_for("delivered", "delivered", "delivered")
    assert sorted(event["type"] for event in receiver.events()) == ["call.incoming", "call.missed", "call.outgoing"]


def test_changes_are_told_once_a_request(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url)
    report = fresh_call("+12025550123", "unknown")
    [result] = shop.send(report)
    shop.send(report | {"type": "missed"})  # first becomes one
    shop.send(report | {"type": "missed"})  # nothing new
    named = report | {"type": "missed", "cached_name": "Anna"}
    shop.send(named, named | {"cached_name": "Berta"}, named | {"cached_name": "Carla"})
    shop.send(named | {"type": "incoming", "cached_name": "Carla", "duration_sec": 5})
    shop.send(named | {"type": "missed", "cached_name": "Carla"})  # was one before
    shop.send(named | {"type": "rejected", "cached_name": "Carla"})
    shop.ask("DELETE", f"/calls/{result['id']}", expected=204)
    shop.send(named)
    deliveries = shop.wait_for(*["delivered"] * 6)
    assert [one["type"] for one in deliveries] == [
        "call.missed", "call.updated", "call.incoming", "call.updated", "call.updated", "call.deleted",
    ]  # fmt: skip
    by_id = {event["id"]: event for event in receiver.events()}
    told = [by_id[one["event_id"]]["data"] for one in deliveries]
    assert [data["guid"] for data in told] == [result["id"]] * 6
    assert [data["name"] for data in told[:-1]] == ["", "Carla", "Carla", "Carla", "Carla"]
    assert list(told[-1]) == ["guid", "device_id", "deleted_at"]
    changes = [data["call"]["change"] for data in told[:-1]]
    assert changes == sorted(set(changes))
    assert [one["change"] for one in deliveries][:-1] == [change + 1 for change in changes]


def test_old_calls_are_history(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url)
    old = now_ms() - 8 * DAY_MS
    [result] = shop.send(fresh_call(date_ms=old))
    shop.send(fresh_call(date_ms=old, cached_name="Anna"))
    assert shop.deliveries() == []
    shop.ask("DELETE", f"/calls/{result['id']}", expected=204)
    assert [one["type"] for one in shop.wait_for("delivered")] == ["call.deleted"]


def test_a_phone_that_was_off_for_weeks_is_heard_of(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url)
    complete = now_ms() - 14 * DAY_MS
    sql = "update devices set synced_through_ms = $2 where account_id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, shop.customer.id, complete))
    shop.send(fresh_call("+12025550001", date_ms=complete), fresh_call("+12025550002", date_ms=complete + 1_000))
    shop.wait_for("delivered")
    assert [event["data"]["number"] for event in receiver.events()] == ["+12025550002"]


def test_an_import_tells_of_old_calls_where_it_is_asked_to(service: Service, receiver: Receiver, tmp_path: Any) -> None:
    shop = Shop(service, receiver.url)
    file = tmp_path / "calls.csv"
    file.write_text("number,type,started_at\n+12025550123,missed,2026-01-05T10:00:00Z\n")
    other = tmp_path / "more.csv"
    other.write_text("number,type,started_at\n+12025550124,missed,2026-01-05T10:00:00Z\n")
    arguments = ("import", "--account", shop.customer.name)
    done = run(*arguments, str(file), RINGBACK_DATABASE_URL=service.database_url)
    assert done.returncode == 0, done.stderr
    done = run(*arguments, str(other), "--events", RINGBACK_DATABASE_URL=service.database_url)
    assert done.returncode == 0, done.stderr
    shop.wait_for("delivered")
    assert [event["data"]["number"] for event in receiver.events()] == ["+12025550124"]


def test_a_phone_falls_silent_once_and_is_back(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url)
    shop.send(fresh_call())
    shop.wait_for("delivered")
    sql = "update devices set last_seen_ms = $2, contact_ms = $2 where account_id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, shop.customer.id, now_ms() - DAY_MS))
    shop.wait_for("delivered", "delivered")
    shop.send(fresh_call("+12025550199"))
    silent, back = (
        [one for one in receiver.events() if one["type"].startswith("device.")]
        if shop.wait_for(*["delivered"] * 4)
        else []
    )
    assert [silent["type"], back["type"]] == ["device.silent", "device.back"]
    assert list(silent["data"]) == ["device_id", "name", "status", "last_seen"]
    assert (silent["data"]["status"], back["data"]["status"]) == ("silent", "online")
    shop.send(fresh_call("+12025550198"))
    shop.wait_for(*["delivered"] * 5)


def test_a_failing_receiver_is_tried_by_the_plan(service: Service, receiver: Receiver) -> None:
    receiver.answer = status(500, b"no\0\xff" + b"x" * 5_000)
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(fresh_call())
    [delivery] = shop.wait_for("failed")
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2, 3]
    assert {attempt["status"] for attempt in delivery["attempts"]} == {500}
    assert all(attempt["answer"].startswith("no\ufffd\ufffdxxx") for attempt in delivery["attempts"])
    assert all(len(attempt["answer"]) <= 1_000 for attempt in delivery["attempts"])
    assert {attempt["error"] for attempt in delivery["attempts"]} == {"The receiver answered 500."}
    assert len({one.body for one in receiver.received}) == 1
    for received in receiver.received:
        verify(received, shop.secret)
    gaps = [later.at - earlier.at for earlier, later in zip(receiver.received, receiver.received[1:], strict=False)]
    assert gaps[0] >= 0.2
    assert gaps[1] >= 0.4

    receiver.answer = status(200)
    again = shop.ask("POST", f"/deliveries/{delivery['id']}/resend", expected=202)
    assert again["status"] == "pending"
    [delivery] = shop.wait_for("delivered")
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2, 3, 4]
    assert shop.ask("GET", f"/deliveries/{delivery['id']}") == delivery


def cut(handler: BaseHTTPRequestHandler, _: Received) -> None:
    handler.connection.close()


def nonsense(handler: BaseHTTPRequestHandler, _: Received) -> None:
    handler.wfile.write(b"\0\xff no HTTP at all\r\n\r\n")


def headers_for_ever(handler: BaseHTTPRequestHandler, _: Received) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 100_000)


def moved(handler: BaseHTTPRequestHandler, received: Received) -> None:
    status(307, Location=f"http://{handler.headers['Host']}/elsewhere")(handler, received)


@pytest.mark.parametrize("answer", [cut, nonsense, headers_for_ever, moved, status(199), status(301), status(404)])
def test_what_is_no_success_fails(service: Service, receiver: Receiver, answer: Any) -> None:
    receiver.answer = answer
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(fresh_call())
    [delivery] = shop.wait_for("failed")
    assert all(attempt["error"] for attempt in delivery["attempts"])
    assert {one.path for one in receiver.received} == {"/hook"}


def without_end(handler: BaseHTTPRequestHandler, received: Received) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n")
    for _ in range(10_000):
        handler.wfile.write(b"x" * 1_000_000)


def cut_in_the_body(handler: BaseHTTPRequestHandler, received: Received) -> None:
    handler.wfile.write(b"HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz")


@pytest.mark.parametrize("answer", [without_end, cut_in_the_body, status(299)])
def test_the_body_of_a_success_decides_nothing(service: Service, receiver: Receiver, answer: Any) -> None:
    receiver.answer = answer
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(fresh_call())
    shop.wait_for("delivered")
    assert len(receiver.received) == 1


def test_a_receiver_may_ask_for_a_rest(service: Service, receiver: Receiver) -> None:
    receiver.answer = status(503, Retry_After="3600")
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(fresh_call("+12025550101"))
    receiver.wait_for(1)
    wait_until(lambda: shop.deliveries()[0]["attempts"])
    receiver.answer = status(200)
    shop.send(fresh_call("+12025550102"))
    time.sleep(1.5)
    assert len(receiver.received) == 1
    for delivery in shop.deliveries():
        assert delivery["status"] == "pending"
        assert 3_500_000 < next_attempt_ms(delivery) - now_ms() <= 3_600_000
    # Another address has asked for no rest.
    shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"url": f"{receiver.url}/new"})
    shop.wait_for("delivered", "delivered")
    assert {one.path for one in receiver.received[1:]} == {"/hook/new"}


def next_attempt_ms(delivery: dict[str, Any]) -> float:
    from datetime import datetime

    return datetime.fromisoformat(delivery["next_attempt_at"]).timestamp() * 1_000


def test_gone_ends_an_endpoint(service: Service, receiver: Receiver) -> None:
    receiver.answer = status(500)
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(fresh_call("+12025550101"))
    shop.wait_for("failed")
    receiver.answer = status(410)
    shop.send(fresh_call("+12025550102"))
    shop.wait_for("failed", "cancelled")
    assert shop.ask("GET", f"/webhooks/{shop.webhook}")["status"] == "disabled"
    shop.send(fresh_call("+12025550103"))
    assert len(shop.deliveries()) == 2
    shop.ask("POST", f"/webhooks/{shop.webhook}/test", expected=409)
    shop.ask("POST", f"/deliveries/{shop.deliveries()[0]['id']}/resend", expected=409)
    receiver.answer = status(200)
    assert shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"status": "active"})["status"] == "active"
    shop.send(fresh_call("+12025550104"))
    shop.wait_for("failed", "cancelled", "delivered")


def test_a_paused_endpoint_gets_all_afterwards(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    assert shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"status": "paused"})["status"] == "paused"
    for place in range(6):
        shop.send(fresh_call(f"+1202555010{place}"))
    held = shop.wait_for(*["held"] * 6)
    assert {one["next_attempt_at"] for one in held} == {None}
    time.sleep(1.2)
    assert receiver.received == []
    shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"status": "active"})
    shop.wait_for(*["delivered"] * 6)
    assert {event["data"]["number"] for event in receiver.events()} == {f"+1202555010{place}" for place in range(6)}


def test_an_expired_account_waits(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    database = {"RINGBACK_DATABASE_URL": service.database_url}
    assert run("account", "set-until", shop.customer.name, "2020-01-01", **database).returncode == 0
    shop.send(fresh_call())
    shop.wait_for("held")
    time.sleep(1.2)
    assert receiver.received == []
    assert run("account", "set-until", shop.customer.name, "2099-01-01", **database).returncode == 0
    shop.wait_for("delivered")


def test_new_types_hold_for_new_events_alone(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"status": "paused"})
    shop.send(fresh_call("+12025550101", "incoming"), fresh_call("+12025550102"))
    changed = shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"events": ["call.incoming"], "status": "active"})
    assert changed["events"] == ["call.incoming"]
    shop.send(fresh_call("+12025550103", "incoming"), fresh_call("+12025550104"))
    shop.wait_for("delivered", "delivered")
    assert {event["data"]["number"] for event in receiver.events()} == {"+12025550102", "+12025550103"}


def test_two_secrets_are_valid_after_a_rotation(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    new = shop.ask("POST", f"/webhooks/{shop.webhook}/rotate", {"overlap_seconds": 3_600, "secret": SECRET})
    assert new == {"secret": SECRET}
    shop.ask("POST", f"/webhooks/{shop.webhook}/rotate", {}, expected=409)
    shop.send(fresh_call("+12025550101"))
    [first] = receiver.wait_for(1)
    verify(first, shop.secret, SECRET)
    shop.wait_for("delivered")
    sql = "update webhooks set old_until_ms = $2 where account_id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, shop.customer.id, now_ms()))
    shop.send(fresh_call("+12025550102"))
    verify(receiver.wait_for(2)[1], SECRET)
    shop.wait_for("delivered", "delivered")


def test_an_endpoint_can_be_tried(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    other = Shop(service, f"{receiver.url}/other", "call.missed", customer=shop.customer)
    delivery = shop.ask("POST", f"/webhooks/{shop.webhook}/test", expected=202)["delivery_id"]
    [received] = receiver.wait_for(1)
    verify(received, shop.secret)
    assert (received.path, received.event["type"]) == ("/hook", "webhook.test")
    [told] = shop.wait_for("delivered")
    assert told["id"] == delivery
    assert other.deliveries() == []


def test_a_range_is_sent_again(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(*[fresh_call(f"+1202555010{place}") for place in range(5)])
    shop.send(fresh_call("+12025550199", "incoming"))
    deliveries = shop.wait_for(*["delivered"] * 5)
    late = Shop(service, f"{receiver.url}/late", customer=shop.customer)
    changes = [one["change"] for one in deliveries]
    body = {"from_change": changes[1], "to_change": changes[3]}
    answer = shop.ask("POST", f"/webhooks/{shop.webhook}/replay", body, expected=202)
    assert answer == {"queued": 3, "has_more": False, "next_from_change": None}
    wait_until(lambda: [len(one["attempts"]) for one in shop.deliveries()] == [1, 2, 2, 2, 1])
    assert len({event["id"] for event in receiver.events()}) == 5
    # An endpoint that was made later hears of what was before, too.
    body = {"from": rfc3339(now_ms() - DAY_MS), "to": rfc3339(now_ms() + DAY_MS)}
    assert late.ask("POST", f"/webhooks/{late.webhook}/replay", body, expected=202)["queued"] == 6
    late.wait_for(*["delivered"] * 6)


def test_a_long_range_goes_by_parts(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"status": "paused"})
    for part in range(3):
        shop.send(*[fresh_call(f"+1{part}{place:07}") for place in range(4_000)])
    body: dict[str, Any] = {"from_change": 0, "to_change": 10**15}
    answer = shop.ask("POST", f"/webhooks/{shop.webhook}/replay", body, expected=202)
    assert (answer["queued"], answer["has_more"]) == (10_000, True)
    body["from_change"] = answer["next_from_change"]
    answer = shop.ask("POST", f"/webhooks/{shop.webhook}/replay", body, expected=202)
    assert answer == {"queued": 2_000, "has_more": False, "next_from_change": None}


def test_deliveries_come_in_pages(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(*[fresh_call(f"+120255501{place:02}") for place in range(7)])
    shop.wait_for(*["delivered"] * 7)
    found, cursor = [], ""
    while cursor is not None:
        page = shop.ask("GET", f"/webhooks/{shop.webhook}/deliveries?limit=3&cursor={cursor}")
        assert len(page["deliveries"]) <= 3
        found += page["deliveries"]
        cursor = page["next_cursor"]
    assert found == shop.deliveries()[::-1]
    other = Shop(service, receiver.url)
    foreign = shop.ask("GET", f"/webhooks/{shop.webhook}/deliveries?limit=3")["next_cursor"]
    other.ask("GET", f"/webhooks/{other.webhook}/deliveries?cursor={foreign}", expected=400)


def test_what_is_anothers_is_not_there(service: Service, receiver: Receiver) -> None:
    shop, other = Shop(service, receiver.url), Shop(service, receiver.url)
    shop.send(fresh_call())
    [delivery] = shop.wait_for("delivered")
    for id in (shop.webhook, "w1-999999", "x", shop.webhook.replace("w", "y")):
        other.ask("GET", f"/webhooks/{id}", expected=404)
        other.ask("PATCH", f"/webhooks/{id}", {"status": "paused"}, 404)
        other.ask("DELETE", f"/webhooks/{id}", expected=404)
        other.ask("POST", f"/webhooks/{id}/rotate", {}, 404)
        other.ask("POST", f"/webhooks/{id}/test", expected=404)
        other.ask("POST", f"/webhooks/{id}/replay", {"from_change": 1, "to_change": 2}, 404)
        other.ask("GET", f"/webhooks/{id}/deliveries", expected=404)
    for id in (delivery["id"], "y1-999999", "x"):
        other.ask("GET", f"/deliveries/{id}", expected=404)
        other.ask("POST", f"/deliveries/{id}/resend", expected=404)
    assert [one["id"] for one in other.ask("GET", "/webhooks")["webhooks"]] == [other.webhook]
    assert shop.deliveries() == [delivery]


def test_an_endpoint_is_deleted_with_its_deliveries(service: Service, receiver: Receiver) -> None:
    shop = Shop(service, receiver.url)
    shop.send(fresh_call())
    [delivery] = shop.wait_for("delivered")
    shop.ask("DELETE", f"/webhooks/{shop.webhook}", expected=204)
    shop.ask("GET", f"/deliveries/{delivery['id']}", expected=404)
    assert shop.ask("GET", "/webhooks")["webhooks"] == []


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": None, "events": ["call.missed"]}, {"url": 5, "events": ["call.missed"]},
        {"url": "https://example.org/"}, {"url": "https://example.org/", "events": []},
        {"url": "https://example.org/", "events": ["call.lost"]},
        {"url": "https://example.org/", "events": "call.missed"},
        {"url": "https://example.org/", "events": [["call.missed"]]},
        {"url": "https://example.org/", "events": ["webhook.test"]},
        *[{"url": "https://example.org/", "events": ["call.missed"], "secret": secret} for secret in (
            "", 5, "whsec_", "whsec_!!!", "whsec_" + "A" * 44, SECRET[:-4], SECRET[6:], SECRET + "AAAA",
            "whsec_" + base64.b64encode(bytes(31)).decode(), "whsec_" + base64.b64encode(bytes(33)).decode(),
        )],
        *[{"url": url, "events": ["call.missed"]} for url in (
            "", "https://", "http://example.org/", "ftp://example.org/", "javascript:alert(1)", "//example.org/",
            "https://user:password@example.org/", "https://example.org:99999/", "https://example.org:0/",
            "https://exa mple.org/", "https://bücher.example/", "https://example.org/#part", "https://[::1/",
            "https://example.org\\@localhost/", "https://exam\nple.org/", "https://" + "a" * 2_000 + ".example/",
        )],
    ],
)  # fmt: skip
def test_endpoints_that_may_not_be(service: Service, body: dict[str, Any]) -> None:
    customer = make_customer(service.database_url)
    answer = service.http.post("/v1/webhooks", json=body, headers=bearer(customer.key))
    assert answer.status_code == 400, body
    assert answer.json()["code"] == "invalid_parameter"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"from": "2026-01-01T00:00:00Z"}, {"from": "yesterday", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, {"from_change": 1},
        {"from_change": "1", "to_change": "2"}, {"from_change": -1, "to_change": 5},
        {"from_change": 2, "to_change": 1}, {"from_change": 1, "to_change": 10**30},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "from_change": 1, "to_change": 2},
        {"from": 5, "to": 6}, {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"},
    ],
)  # fmt: skip
def test_ranges_that_can_not_be_read(service: Service, receiver: Receiver, body: dict[str, Any]) -> None:
    shop = Shop(service, receiver.url)
    shop.ask("POST", f"/webhooks/{shop.webhook}/replay", body, 400)


def test_a_slow_receiver_delays_no_other(database_url: str, receiver: Receiver) -> None:
    """One that answers just in time, and one that never does; a fifth of the real time makes no difference."""
    service = Service(database_url, variables=LOCAL | {"RINGBACK_WEBHOOK_TIMEOUT": "3"})

    def slow(handler: BaseHTTPRequestHandler, received: Received) -> None:
        if received.path == "/slow":
            time.sleep(2.8)
        elif received.path == "/never":
            time.sleep(30)
        status(200)(handler, received)

    receiver.answer = slow
    shop = Shop(service, receiver.url, "call.missed")
    base = receiver.url.removesuffix("/hook")
    never, late = (Shop(service, f"{base}/{path}", customer=shop.customer) for path in ("never", "slow"))
    for place in range(10):
        shop.send(fresh_call(f"+1202555010{place}"))
    shop.wait_for(*["delivered"] * 10)
    quick = [received.at for received in receiver.received if received.path == "/hook"]
    assert max(quick) - min(quick) < 2.8
    late.wait_for(*["delivered"] * 10)
    wait_until(lambda: never.deliveries()[0]["attempts"])
    assert "within 3 s" in never.deliveries()[0]["attempts"][0]["error"]
    service.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RINGBACK_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/99"), ("RINGBACK_WEBHOOK_ALLOW_NETWORKS", "the office"),
        ("RINGBACK_WEBHOOK_RETRIES", "5,soon"), ("RINGBACK_WEBHOOK_RETRIES", "-1"),
        ("RINGBACK_WEBHOOK_TIMEOUT", "0"), ("RINGBACK_WEBHOOK_TIMEOUT", "15,16"),
        ("RINGBACK_WEBHOOK_CONCURRENCY", "1000"), ("RINGBACK_WORKER", "yes"),
    ],
)  # fmt: skip
def test_settings_that_can_not_be_used(name: str, value: str) -> None:
    done = run("account", "list", **{name: value})
    assert done.returncode == 2
    assert name in done.stderr
