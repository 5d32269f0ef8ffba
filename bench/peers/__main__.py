"""Measures pages of calls beside `orm_service.py`, on an equal table: CPU time a request, and requests a second.

PEER_CALLS=1000000 for a large account. Both servers have one worker; Ringback writes its log and its metrics. The two
take turns, a round each, so that a machine that changes its speed changes both.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import apsw

from bench.files import write_backup
from postgresql import new_database, postgresql_server
from ringback.accounts import find_account
from ringback.db import Connection
from ringback.keys import create_key
from service import RINGBACK, Service, environment, free_port, on_database, run

CALLS = int(os.environ.get("PEER_CALLS") or 100_000)
ROUNDS = int(os.environ.get("ROUNDS") or 11)
CONNECTIONS = 4
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGES = {
    "first page": ("", 400),
    "page at 90 % of the calls": (f"?offset={CALLS * 3 // 10}", 4),
    "search by name": ("?q=peeters", 8),
    "search by number": ("?q=470004999", 8),
}
"""What is asked for, and how often in a round."""

COPY = (
    "insert into peer_calls select c.id, c.account_id, c.kind, p.number, p.name, p.geo_location, p.number_fold,"
    " p.name_fold, c.at_ms, c.duration_s, c.created_ms from calls c join parties p"
    " on p.account_id = c.account_id and p.id = c.party_id"
)
TABLES = (
    "create table peer_keys (hash {bytes} primary key, account_id bigint not null)",
    "create table peer_calls (id bigint primary key, account_id bigint not null, kind integer not null,"
    " phone_number text not null, cached_name text, geo_location text, number_fold text not null, name_fold text,"
    " call_date_ms bigint not null, duration_sec integer not null, created_ms bigint not null)",
    COPY,
    "create index peer_by_date on peer_calls (account_id, kind, call_date_ms, id)",
    "analyze",
)


class Server(NamedTuple):
    """A running server: the process whose tree is measured, and its port."""

    pid: int
    port: int


def processor_seconds(pid: int) -> float:
    """CPU time of a process and all below it."""
    found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = (int(found[11]) + int(found[12])) / TICKS_A_SECOND
    return own + sum(processor_seconds(int(child)) for child in children)


class Client:
    """Some connections that ask for one page over and over."""

    def __init__(self, server: Server, path: str, key: str) -> None:
        self.server = server
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        self.connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(CONNECTIONS)]

    def ask(self, times: int) -> bytes:
        """Send so many requests, one at a time on each connection; the last answer's body."""
        body = b""
        for _ in range(-(-times // CONNECTIONS)):
            for connection in self.connections:
                connection.sendall(self.request)
            for connection in self.connections:
                body = self._receive(connection)
        return body

    def _receive(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0], head
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length
        while len(body) < int(length[1]):
            body += connection.recv(65_536)
        return body

    def measure(self, times: int) -> tuple[float, float]:
        """CPU seconds and seconds for one request."""
        sent = -(-times // CONNECTIONS) * CONNECTIONS
        before, started = processor_seconds(self.server.pid), time.perf_counter()
        self.ask(times)
        seconds = time.perf_counter() - started
        return (processor_seconds(self.server.pid) - before) / sent, seconds / sent


def fill(folder: Path, url: str) -> str:
    """An account with the calls, imported; returns its key."""
    file = folder / "calls.xml"
    write_backup(file, CALLS)
    assert run("account", "create", "bench", RINGBACK_DATABASE_URL=url).returncode == 0
    command = (*RINGBACK, "import", str(file), "--account", "bench")
    subprocess.run(command, env=environment(RINGBACK_DATABASE_URL=url), stdout=subprocess.DEVNULL, check=True)

    async def make(connection: Connection) -> str:
        return await create_key(connection, (await find_account(connection, "bench")).id, "bench")

    return on_database(url, make)


def fill_peer(folder: Path, url: str, key: str) -> str:
    """The same calls in the peer's table; returns the address of its database as SQLAlchemy writes it."""
    digest = hashlib.sha256(key.encode()).digest()
    insert = "insert into peer_keys select {value}, id from accounts"
    if url.startswith("sqlite"):
        with closing(apsw.Connection(str(folder / "peer.db"))) as connection:
            connection.execute("pragma journal_mode=wal").fetchall()
            connection.execute("attach ? as ringback", (url.removeprefix("sqlite:///"),))
            for sql in TABLES:
                connection.execute(sql.format(bytes="blob")).fetchall()
            connection.execute(insert.format(value="?"), (digest,))
        return f"sqlite:///{folder}/peer.db"

    async def copy(connection: Connection) -> None:
        for sql in TABLES:
            await connection.execute(sql.format(bytes="bytea"))
        await connection.execute(insert.format(value="$1::bytea"), digest)

    on_database(url, copy)
    return url.replace("postgresql:", "postgresql+psycopg:", 1)


def start_peer(database: str) -> tuple[subprocess.Popen[bytes], Server]:
    port = free_port()
    process = subprocess.Popen(
        (sys.executable, "-m", "uvicorn", "bench.peers.orm_service:app", "--port", str(port), "--no-access-log",
         "--log-level", "warning"),
        env=environment(DATABASE=database), cwd=Path(__file__).parents[2],
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, Server(process.pid, port)
        except OSError:
            assert time.monotonic() < deadline, "the peer did not start"
            time.sleep(0.1)


def compare(engine: str, ours: Server, theirs: Server, key: str) -> None:
    for name, (parameters, times) in PAGES.items():
        path = f"/call/incoming/list/{parameters}"
        clients = [Client(server, path, key) for server in (ours, theirs)]
        assert clients[0].ask(1) == clients[1].ask(1), "the answers differ"
        for client in clients:
            client.ask(times)
        rounds: list[list[tuple[float, float]]] = [[client.measure(times) for client in clients] for _ in range(ROUNDS)]
        print(f"{engine}, {name}:")
        for place, who in enumerate(("Ringback", "ORM service")):
            cpu, seconds = (median(one[place][what] for one in rounds) for what in (0, 1))
            print(f"  {who}: {1_000 * cpu:.2f} ms of CPU time, {1 / seconds:,.0f} requests/s")
        cpu, seconds = (median(ratio(one, what) for one in rounds) for what in (0, 1))
        print(f"  ratio, paired: {cpu:.1f} times less CPU time, {seconds:.1f} times the requests", flush=True)


def ratio(one: Any, what: int) -> float:
    return float(one[1][what] / max(one[0][what], 1e-9))


def main() -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {CALLS:,} calls, {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as name, postgresql_server() as server:
        folder = Path(name)
        for engine, url in (("SQLite", f"sqlite:///{folder}/ringback.db"), ("PostgreSQL", new_database(server))):
            key = fill(folder, url)
            peer, theirs = start_peer(fill_peer(folder, url, key))
            service = Service(url)
            try:
                compare(engine, Server(service.process.pid, service.port), theirs, key)
            finally:
                service.stop()
                peer.terminate()
                peer.wait()


main()
