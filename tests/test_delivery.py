"""Delivery under trouble: a receiver that fails, servers that are killed, the real plan, several workers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from receiver import Received, Receiver, status, wait_until
from ringback.times import now_ms
from service import RINGBACK, Service, environment, new_log, on_database
from test_campaign import Clock
from test_kills import new_seed
from test_webhooks import LOCAL, Shop, fresh_call, verify

DELIVERIES = int(os.environ.get("DELIVERIES") or 500)
KILLS = int(os.environ.get("KILLS") or 5)
LATE = (sys.executable, str(Path(__file__).parent / "late_outbox_server.py"), "serve")
PLAN = [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
"""Seconds from the end of one attempt to the next, from the contract."""


class Flaky:
    """A receiver that fails some of the time, in every way there is."""

    def __init__(self, seed: int, share: float) -> None:
        self.random, self.share, self.lock = random.Random(seed), share, threading.Lock()
        self.taken: Counter[str] = Counter()
        """How often each event was answered 2xx."""

    def __call__(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        with self.lock:
            fault = (
                self.random.choice(("error", "cut", "hang", "slow body")) if self.random.random() < self.share else ""
            )
            if fault in ("", "slow body"):
                self.taken[received.event["id"]] += 1
        match fault:
            case "error":
                status(503)(handler, received)
            case "cut":
                handler.connection.close()
            case "hang":
                time.sleep(1.5)
            case "slow body":
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")
                time.sleep(3)
            case _:
                status(202)(handler, received)


def after_kills(url: str, program: tuple[str, ...], seed: int, deliveries: int, kills: int) -> tuple[set[str], Flaky]:
    """The numbers of acknowledged calls that no event told of, after so many kills of the whole server."""
    print(f"seed {seed}")
    generator = random.Random(seed)
    flaky = Flaky(seed + 1, 0.3)
    receiver = Receiver(flaky)
    variables = LOCAL | {"RINGBACK_WEBHOOK_RETRIES": ",".join(["0.3"] * 60), "RINGBACK_WEBHOOK_TIMEOUT": "1"}
    service = Service(url, program=program, variables=variables)
    try:
        shop = Shop(service, receiver.url, "call.missed")
        acknowledged: set[str] = set()
        at_ms = now_ms()

        def send_all() -> None:
            for start in range(0, deliveries, 4):
                batch = [f"+1202555{place:04}" for place in range(start, start + 4)]
                while not sent(shop, batch, at_ms):
                    time.sleep(0.05)  # the server was killed, and starts again
                acknowledged.update(batch)

        sender = threading.Thread(target=send_all)
        sender.start()
        for _ in range(kills):
            time.sleep(generator.uniform(0.1, 0.6))
            service.kill()
            service.start()
        sender.join()
        assert len(acknowledged) >= deliveries
        deadline = time.monotonic() + 120 + deliveries / 10  # four at once, some of which hang for a second

        def told() -> set[str]:
            return {one.event["data"]["number"] for one in list(receiver.received) if flaky.taken[one.event["id"]]}

        quiet = 8 if program == LATE else 120
        heard = time.monotonic(), 0
        while acknowledged - told() and time.monotonic() < min(deadline, heard[0] + quiet):
            if len(receiver.received) != heard[1]:
                heard = time.monotonic(), len(receiver.received)
            time.sleep(0.2)
        for received in list(receiver.received):
            verify(received, shop.secret)
        return acknowledged - told(), flaky
    finally:
        service.kill()
        receiver.stop()


def sent(shop: Shop, numbers: list[str], at_ms: int) -> bool:
    """Whether calls from the numbers were acknowledged."""
    try:
        shop.send(*[fresh_call(number, date_ms=at_ms) for number in numbers])
    except httpx.TransportError:
        return False
    return True


@pytest.mark.timeout(0 if DELIVERIES > 500 else 280)
def test_every_event_arrives(database_url: str) -> None:
    lost, flaky = after_kills(database_url, (*RINGBACK, "serve"), new_seed(), DELIVERIES, KILLS)
    again = sum(count - 1 for count in flaky.taken.values() if count > 1)
    print(f"{len(flaky.taken)} events, {again} of them again")
    assert lost == set()
    # What was under way at a kill, and answers whose status came after the time.
    assert again <= 8 * KILLS


def test_the_control_loses_events(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert any(after_kills(database_url, LATE, new_seed(), 60, 2)[0] for _ in range(5))


class Worker:
    """`ringback worker` as a process of its own."""

    def __init__(self, url: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            (*RINGBACK, "worker", "--database", url), env=environment(**LOCAL, **variables),
            stdout=subprocess.DEVNULL, stderr=new_log().open("ab"),
        )  # fmt: skip

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def test_workers_share_the_work(database_url: str) -> None:
    receiver = Receiver()
    service = Service(database_url, "--no-worker", variables=LOCAL)
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(*[fresh_call(f"+12025551{place:03}") for place in range(150)])
    time.sleep(1.2)
    assert receiver.received == []
    workers = [Worker(database_url) for _ in range(3)]
    receiver.wait_for(150)
    wait_until(lambda: {one["status"] for one in shop.deliveries()} == {"delivered"})
    assert Counter(event["id"] for event in receiver.events()).most_common(1)[0][1] == 1
    workers[0].process.kill()
    assert [worker.stop() for worker in workers[1:]] == [0, 0]
    service.stop()
    receiver.stop()


def test_no_more_than_four_at_once(database_url: str) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def slow(handler: BaseHTTPRequestHandler, received: Received) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        status(200)(handler, received)

    receiver = Receiver(slow)
    service = Service(database_url, "--workers", "2", variables=LOCAL)
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(*[fresh_call(f"+12025551{place:03}") for place in range(40)])
    receiver.wait_for(40)
    assert most == 4
    service.stop()
    receiver.stop()


def test_a_stopped_worker_leaves_its_work_at_once(database_url: str) -> None:
    hang = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        if not hang.is_set():
            hang.wait(30)
        status(200)(handler, received)

    receiver = Receiver(answer)
    service = Service(database_url, "--no-worker", variables=LOCAL)
    shop = Shop(service, receiver.url, "call.missed")
    first = Worker(database_url)
    shop.send(fresh_call())
    receiver.wait_for(1)
    assert first.stop() == 0
    hang.set()
    second = Worker(database_url)
    shop.wait_for("delivered")
    second.stop()
    service.stop()
    receiver.stop()


def has_attempts(shop: Shop, count: int) -> bool:
    """Whether so many attempts of the first delivery are noted."""
    return len(shop.deliveries()[0]["attempts"]) == count


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def test_the_real_plan(fresh: Callable[[str], str], clock: Clock) -> None:
    """Each attempt comes at its time and not before; after the eleventh there is none. Five days pause the endpoint."""
    url = fresh("sqlite")
    receiver = Receiver(status(500))
    service = Service(url, variables=LOCAL | clock.for_server)
    try:
        shop = Shop(service, receiver.url, "call.missed")
        begun_ms = clock.now_ms()
        shop.send(fresh_call("+12025550101", date_ms=begun_ms))
        for number, gap in enumerate(PLAN, 1):
            receiver.wait_for(number)
            wait_until(partial(has_attempts, shop, number))
            clock.advance(gap - 3)  # up to 3 s pass meanwhile
            time.sleep(0.3)
            assert len(receiver.received) == number
            clock.advance(gap * 0.1 + 6)
        receiver.wait_for(11)
        [delivery] = shop.wait_for("failed")
        assert len(delivery["attempts"]) == 11
        clock.advance(86_400)
        assert shop.ask("GET", f"/webhooks/{shop.webhook}")["status"] == "active"
        clock.advance(5 * 86_400 - (clock.now_ms() - begun_ms) / 1_000 - 60)
        shop.send(fresh_call("+12025550102", date_ms=clock.now_ms()))
        receiver.wait_for(12)
        wait_until(lambda: len(shop.deliveries()[1]["attempts"]) == 1)
        assert shop.ask("GET", f"/webhooks/{shop.webhook}")["status"] == "active"
        clock.advance(90)
        receiver.wait_for(13)
        shop.wait_for("failed", "held")
        assert shop.ask("GET", f"/webhooks/{shop.webhook}")["status"] == "paused"
        # A person takes it up again, and the five days begin anew.
        shop.ask("PATCH", f"/webhooks/{shop.webhook}", {"status": "active"})
        clock.advance(400)
        receiver.wait_for(14)
        wait_until(lambda: len(shop.deliveries()[1]["attempts"]) == 3)
        assert shop.ask("GET", f"/webhooks/{shop.webhook}")["status"] == "active"
        receiver.answer = status(200)
        clock.advance(2_000)
        shop.wait_for("failed", "delivered")
    finally:
        service.kill()
        receiver.stop()


def test_events_are_forgotten_after_30_days(fresh: Callable[[str], str]) -> None:
    url = fresh("sqlite")
    receiver = Receiver()
    service = Service(url, variables=LOCAL)
    shop = Shop(service, receiver.url, "call.missed")
    shop.send(fresh_call("+12025550101"))
    shop.wait_for("delivered")
    old = now_ms() - 31 * 86_400_000
    on_database(url, lambda c: c.execute("update events set created_ms = $1", old))
    shop.send(fresh_call("+12025550102"))
    shop.wait_for("delivered", "delivered")
    service.stop()
    service.start()  # it looks at its start, and then every hour
    [left] = shop.wait_for("delivered")
    assert left["change"] == 4

    def count(table: str) -> Any:
        return on_database(url, lambda c: c.fetch_one(f"select count(*) from {table}"))[0]

    assert [count(table) for table in ("events", "deliveries", "attempts")] == [1, 1, 1]
    service.stop()
    receiver.stop()
