"""Several processes answer: they count together, one may be killed, and a server that is stopped ends its requests."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from service import RINGBACK, Customer, Service, bearer, call
from test_kills import HASTY, Call, stored_calls

SENDERS = 4
Key = tuple[str, str, int]
"""Method, path and status of an answer."""


class Load:
    """Clients that send and read until they are told to end; each request has a connection of its own."""

    def __init__(self, service: Service, customer: Customer) -> None:
        self.service, self.customer = service, customer
        self.answers: Counter[Key] = Counter()
        self.unanswered = 0
        self.acknowledged: set[Call] = set()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def run(self, sender: int) -> None:
        place = 0
        while not self.ended.is_set():
            reports = [call(f"+1202555{sender:02}{n:02}", date_ms=1_761_231_000_000 + place * 1_000) for n in range(20)]
            if self.ask("POST", "/v1/sync/calls", self.customer.token, {"calls": reports}):
                self.acknowledged |= {(report["number"], report["date_ms"]) for report in reports}
                place += 1
            self.ask("GET", "/call/missed/list", self.customer.key)

    def ask(self, method: str, path: str, token: str, body: Any = None) -> bool:
        try:
            answer = httpx.request(
                method, self.service.url + path, json=body, headers=bearer(token), timeout=30, trust_env=False
            )
        except httpx.TransportError:
            self.unanswered += 1
            return False
        self.answers[method, path, answer.status_code] += 1
        return answer.is_success

    def stop(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def workers(service: Service) -> set[int]:
    """The processes that answer: children of the server that have its port open."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    return {int(pid) for pid in children.split() if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()}


def counted(service: Service) -> Counter[Key]:
    lines = re.findall(r'^ringback_requests_total\{method="(.+?)",path="(.+?)",status="(\d+)"\} (\S+)$',
                       service.http.get("/metrics").text, re.MULTILINE)  # fmt: skip
    return Counter({(method, path, int(status)): int(float(n)) for method, path, status, n in lines})


def begin_slow(service: Service, token: str, body: bytes) -> socket.socket:
    """Send half of a request, and wait until the server waits for the rest."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    head = f"POST /v1/sync/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
    assert connection.recv(1_000).startswith(b"HTTP/1.1 100")
    connection.sendall(body[: len(body) // 2])
    return connection


def lost_after_kills_and_a_stop(database_url: str, victims: int, program: tuple[str, ...] = RINGBACK) -> set[Call]:
    """The acknowledged calls that are gone after some of two workers were killed; asserts all else that is promised."""
    service = Service(database_url, "--workers", "2", program=(*program, "serve"))
    try:
        customer = service.customer()
        load = Load(service, customer)
        time.sleep(1)
        before = sorted(workers(service))
        assert len(before) == 2
        for victim in before[:victims]:
            os.kill(victim, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(workers(service) - set(before[:victims])) < 2:
            assert time.monotonic() < deadline, "what was killed was not replaced"
            time.sleep(0.1)
        service.wait_until_it_answers()  # where both were killed, nobody listens before a new one has started
        time.sleep(1)
        load.stop()

        total = counted(service)
        for key, answered in load.answers.items() if program == RINGBACK else ():
            assert answered <= total[key] <= answered + load.unanswered, (key, load.unanswered)
        assert {status for _, _, status in load.answers} == {200}

        reports = [call("+12025559999", date_ms=1_761_231_000_000 + n * 1_000) for n in range(100)]
        body = json.dumps({"calls": reports}).encode()
        slow = [begin_slow(service, customer.token, body) for _ in range(6)]
        service.process.terminate()
        time.sleep(0.5)
        for connection in slow:
            connection.sendall(body[len(body) // 2 :])
        answers = [connection.recv(100_000) for connection in slow]
        assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * len(slow)
        assert service.process.wait(30) == 0

        load.acknowledged |= {(report["number"], report["date_ms"]) for report in reports}
        return load.acknowledged - set(stored_calls(database_url, customer.id))
    finally:
        if service.process.poll() is None:
            service.kill()


def test_one_is_killed_and_the_server_is_stopped(database_url: str) -> None:
    assert lost_after_kills_and_a_stop(database_url, 1) == set()


def test_the_control_loses(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert any(lost_after_kills_and_a_stop(database_url, 2, HASTY) for _ in range(8))
