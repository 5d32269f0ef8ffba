"""`/v1/events`: each stream hears each event once, goes on where it was, and holds up nobody."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from receiver import wait_until
from ringback.keys import list_keys, revoke_key
from ringback.times import now_ms
from service import Customer, Service, bearer, call, make_member, on_database, run
from test_webhooks import fresh_call

STREAMS = 500


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def service(request: pytest.FixtureRequest, fresh: Callable[[str], str]) -> Iterator[Service]:
    service = Service(fresh(request.param), "--workers", "2", variables={"RINGBACK_STREAMS_PER_KEY": "600"})
    yield service
    service.stop()


class Stream:
    """An open stream; its bytes are read when it is asked what has come."""

    def __init__(self, service: Service, key: str, last: str = "", *, small: bool = False) -> None:
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", service.port))
        more = f"Last-Event-ID: {last}\r\n" if last else ""
        head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}\r\n"
        self.socket.sendall(head.encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.data += self.socket.recv(65_536)
        self.head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])
        self.ended = False

    def read(self) -> None:
        """Take what has come; call it when something has."""
        piece = self.socket.recv(65_536)
        self.ended = not piece
        self.data += piece

    def frames(self) -> list[dict[str, str]]:
        """The whole frames so far, as field and value; chunk sizes of HTTP are lines of their own."""
        found = []
        for block in self.data.decode().replace("\r\n", "\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
            if fields:
                found.append(fields)
        return found

    def events(self) -> list[dict[str, str]]:
        return [frame for frame in self.frames() if "data" in frame]

    def wait_for(self, count: int) -> list[dict[str, str]]:
        deadline = time.monotonic() + 60
        while len(self.events()) < count or not self.data.endswith(b"\n\r\n"):
            assert time.monotonic() < deadline, self.data[-500:]
            self.read()
        return self.events()

    def close(self) -> None:
        self.socket.close()


def test_events_come_and_go_on(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, fresh_call("+12025550100"))
    stream = Stream(service, customer.key)
    assert stream.status == 200
    assert b"text/event-stream" in stream.head
    wait_until(lambda: stream.frames() or stream.read())
    [begin] = stream.frames()
    assert set(begin) == {"retry", "id"}
    service.send(customer.token, fresh_call("+12025550101"))
    [first] = stream.wait_for(1)
    body = json.loads(first["data"])
    assert (first["event"], body["type"], body["data"]["number"]) == ("call.missed", "call.missed", "+12025550101")
    stream.close()
    # What comes while it is away is heard afterwards, once.
    for number in range(3):
        service.send(customer.token, fresh_call(f"+1202555011{number}"))
    again = Stream(service, customer.key, first["id"])
    assert [json.loads(one["data"])["data"]["number"] for one in again.wait_for(3)] == [
        f"+1202555011{number}" for number in range(3)
    ]
    service.send(customer.token, fresh_call("+12025550120"))
    assert len({one["id"] for one in again.wait_for(4)}) == 4
    from_begin = Stream(service, customer.key, begin["id"])
    assert len(from_begin.wait_for(5)) == 5
    again.close()
    from_begin.close()


def test_who_may_listen_and_from_where(service: Service) -> None:
    customer, other = service.customer(), service.customer()
    assert service.http.get("/v1/events").status_code == 401
    foreign = Stream(service, other.key)
    wait_until(lambda: foreign.frames() or foreign.read())
    last = foreign.frames()[0]["id"]
    foreign.close()
    for bad in (last, "made-up", last[:-3]):
        answer = service.http.get("/v1/events", headers=bearer(customer.key) | {"Last-Event-ID": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    service.send(customer.token, fresh_call("+12025550101"))
    stream = Stream(service, customer.key)
    wait_until(lambda: stream.frames() or stream.read())
    cursor = {"Last-Event-ID": stream.frames()[0]["id"]}
    stream.close()
    # No longer kept, and ahead of the server.
    sql = "update accounts set forgotten_change = last_change + 1 where id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, customer.id))
    assert service.http.get("/v1/events", headers=bearer(customer.key) | cursor).json()["code"] == "cursor_expired"
    sql = "update accounts set forgotten_change = 0, last_change = 0 where id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, customer.id))
    answer = service.http.get("/v1/events", headers=bearer(customer.key) | cursor)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    database = {"RINGBACK_DATABASE_URL": service.database_url}
    assert run("account", "set-until", customer.name, "2020-01-01", **database).returncode == 0
    assert service.http.get("/v1/events", headers=bearer(customer.key)).json()["code"] == "api_expired"


def test_a_revoked_key_ends_its_stream(service: Service) -> None:
    customer = service.customer()
    stream = Stream(service, customer.key)

    async def revoke(connection: Any) -> None:
        [key] = await list_keys(connection, customer.id)
        await revoke_key(connection, key.id)

    on_database(service.database_url, revoke)
    started = time.monotonic()
    while not stream.data.endswith(b"0\r\n\r\n") and not stream.ended:
        stream.read()
    assert time.monotonic() - started < 40
    stream.close()


def test_a_stream_that_is_quiet_shows_that_it_lives(service: Service) -> None:
    customer = service.customer()
    with closing(Stream(service, customer.key)) as stream:
        while b": still here" not in stream.data:
            stream.read()


def test_a_key_has_only_so_many(fresh: Callable[[str], str]) -> None:
    service = Service(fresh("sqlite"), variables={"RINGBACK_STREAMS_PER_KEY": "3"})
    customer, other = service.customer(), service.customer()
    streams = [Stream(service, customer.key) for _ in range(3)]
    wait_until(lambda: all(stream.frames() or stream.read() for stream in streams))
    refused = service.http.get("/v1/events", headers=bearer(customer.key))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 0
    with closing(Stream(service, other.key)) as stream:
        assert stream.status == 200
    streams.pop().close()

    def is_open_again() -> bool:
        with closing(Stream(service, customer.key)) as stream:
            return stream.status == 200

    wait_until(is_open_again)
    for stream in streams:
        stream.close()
    service.stop()


def memory(service: Service) -> int:
    """Bytes that the server's processes hold."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    found = 0
    for pid in children:
        rows = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        found += int(rows["Private_Dirty"].split()[0]) * 1_024
    return found


def read_all(streams: list[Stream], count: int) -> None:
    """Read from all at once, until each has heard so many events."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
        deadline = time.monotonic() + 120
        left = set(streams)
        while left:
            assert time.monotonic() < deadline, len(left)
            for key, _ in selector.select(1):
                key.data.read()
                if key.data.data.count(b"\ndata: ") >= count:
                    left.discard(key.data)


def test_500_streams_hear_each_event_once(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, fresh_call("+12025550000"))
    warm = [Stream(service, customer.key) for _ in range(20)]
    before = memory(service)
    streams = [Stream(service, customer.key) for _ in range(STREAMS)]
    idle = [Stream(service, customer.key, small=True) for _ in range(10)]  # these never read
    size = (memory(service) - before) / (STREAMS + 10)
    print(f"{size / 1_000:.0f} kB a stream")
    assert size < 100_000
    count = 40
    sender = threading.Thread(
        target=lambda: [
            service.send(customer.token, fresh_call(f"+12025551{place:03}", cached_name="x" * 400))
            for place in range(count)
        ]
    )
    sender.start()
    read_all(streams, count)
    sender.join()
    for stream in streams:
        heard = [json.loads(one["data"])["data"]["number"] for one in stream.events()]
        assert heard == [f"+12025551{place:03}" for place in range(count)]
    for stream in (*streams, *idle, *warm):
        stream.close()


def test_a_stopped_server_ends_its_streams(database_url: str) -> None:
    service = Service(database_url, "--workers", "2")
    customer = service.customer()
    streams = [Stream(service, customer.key) for _ in range(12)]
    wait_until(lambda: all(stream.frames() or stream.read() for stream in streams))
    started = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - started < 10
    for stream in streams:
        stream.close()


def test_a_session_may_listen(service: Service) -> None:
    customer: Customer = service.customer()
    member = make_member(service.database_url, customer.id, "viewer")
    with service.http.stream("GET", "/v1/events", cookies=member.cookies) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        service.send(customer.token, call("+12025550101", date_ms=now_ms()))
        assert next(line for line in lines if line.startswith("data")).count("+12025550101")
