"""A real server on a real port."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import httpx2 as httpx

from ringback.accounts import create_account
from ringback.cli import main
from ringback.db import Connection, T, Work, open_database
from ringback.devices import create_device, create_device_token
from ringback.keys import create_key
from ringback.members import add_member, create_person
from ringback.passwords import hash_password
from ringback.sessions import create_session
from ringback.web.auth import SESSION_COOKIE

_numbers = itertools.count()

RINGBACK = (sys.executable, "-m", "ringback")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: no setting of whoever runs the tests reaches it."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}, **more}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command `ringback`; variables are those of its environment.

    It runs in this process, since to start one takes as long as most tests; in a thread of its own, for `in_thread`'s
    reason.
    """
    buffers = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(buffer, "utf-8", write_through=True) for buffer in buffers]
    with (
        mock.patch.dict(os.environ, environment(**variables), clear=True),
        mock.patch.object(sys, "argv", ["ringback", *arguments]),
        redirect_stdout(streams[0]),
        redirect_stderr(streams[1]),
        ThreadPoolExecutor(1) as thread,
    ):
        code = thread.submit(_exit_code).result(120)
    stdout, stderr = (buffer.getvalue().decode() for buffer in buffers)
    remember(*re.findall(r"rb[kd]_\w+", stdout))
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; in a thread of its own, since Playwright keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def on_database(url: str, work: Work[T]) -> T:
    """Run work in a transaction on the database, from this process, beside a server that may run on it."""

    async def write() -> T:
        database = await open_database(url)
        try:
            return await database.write(work)
        finally:
            await database.close()

    return in_thread(write())


class Customer(NamedTuple):
    """An account with one key and one phone."""

    id: int
    name: str
    key: str
    token: str


def new_name(what: str) -> str:
    """A name that no other test has."""
    return f"{what}-{os.getpid()}-{next(_numbers)}"


def make_customer(database_url: str, **account: Any) -> Customer:
    name = new_name("account")

    async def make(connection: Connection) -> Customer:
        made = await create_account(connection, name, **account)
        device = await create_device(connection, made.id, "phone")
        key = await create_key(connection, made.id, "key")
        token = await create_device_token(connection, made.id, device.number)
        remember(key, token)
        return Customer(made.id, name, key, token)

    return on_database(database_url, make)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def call(
    number: str | None = "+12025550100", type: str = "missed", date_ms: int = 1_761_231_000_000, **more: Any
) -> Any:
    """A report as a phone sends it."""
    remember(number, more.get("cached_name"))
    return {"number": number, "type": type, "date_ms": date_ms, "duration_sec": 0, **more}


SECRETS: set[str] = set()
"""What must stand in no log: keys, tokens, passwords, numbers and names that tests used."""

WORD = re.compile("[a-z_]+")
"""Names that say nothing, as `missed`, would be found as words of the program."""

LOGS: list[Path] = []
"""What servers of this run logged."""


def remember(*secrets: str | None) -> None:
    SECRETS.update(secret for secret in secrets if secret and len(secret) > 5 and not WORD.fullmatch(secret))


def new_log() -> Path:
    LOGS.append(Path(tempfile.mkstemp(prefix="ringback-log-")[1]))
    return LOGS[-1]


class Shell:
    """Commands on one database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ok(self, *arguments: str) -> str:
        result = run(*arguments, RINGBACK_DATABASE_URL=self.url)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def refused(self, code: int, *arguments: str) -> str:
        result = run(*arguments, RINGBACK_DATABASE_URL=self.url)
        assert (result.returncode, result.stdout) == (code, "")
        assert "Traceback" not in result.stderr
        return result.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--format", "json"))


class Service:
    """`ringback serve` as a process of its own."""

    def __init__(
        self,
        database_url: str,
        *options: str,
        program: tuple[str, ...] = (*RINGBACK, "serve"),
        log: Any = None,
        variables: dict[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        """`log` is a file for all that the server writes, `variables` are more ones for its environment."""
        self.database_url, self.log, self.variables = database_url, log, variables or {}
        self.errors = self.log or new_log().open("ab")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.command = (*program, "--port", str(self.port), "--database", database_url, *options)
        self.start()

    def start(self) -> None:
        """Start the process; again, on the same port, where it was killed."""
        self.process = subprocess.Popen(
            self.command, start_new_session=True, env=environment(**self.variables),
            stdout=self.log or subprocess.DEVNULL, stderr=self.errors,
        )  # fmt: skip
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def customer(self, **account: Any) -> Customer:
        return make_customer(self.database_url, **account)

    def sync(self, token: str, body: Any, **headers: str) -> httpx.Response:
        """Post a body as a phone does: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post("/v1/sync/calls", content=content, headers=bearer(token) | headers)

    def send(self, token: str, *calls: Any) -> dict[str, Any]:
        """Send reports as a phone does; returns the answer."""
        answer = self.sync(token, {"calls": calls})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def statuses(self, token: str, *calls: Any) -> list[str]:
        """Send reports; returns what became of each."""
        return [result["status"] for result in self.send(token, *calls)["results"]]

    def stop(self) -> int:
        """End it as an operator does; returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        """Kill all its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + 30
        while not _is_free(self.port):  # its workers may end a moment later
            assert time.monotonic() < deadline, "the killed server still has its port"
            time.sleep(0.01)


class SignedIn(NamedTuple):
    """A person and an open session."""

    email: str
    secret: str

    @property
    def cookies(self) -> dict[str, str]:
        return {SESSION_COOKIE: self.secret}


PASSWORD = "correct horse battery"


@cache
def password_hash() -> str:
    return in_thread(hash_password(PASSWORD))


def make_member(database_url: str, account_id: int, role: str = "owner") -> SignedIn:
    """A new member of an account, whose password is PASSWORD, signed in."""
    email = f"{new_name('person')}@example.org"
    hash = password_hash()

    async def make(connection: Connection) -> SignedIn:
        person = await create_person(connection, email, hash)
        await add_member(connection, account_id, person.id, role)
        secret = await create_session(connection, person.id, account_id, "test", "127.0.0.1", verified=True)
        remember(secret, PASSWORD)
        return SignedIn(email, secret)

    return on_database(database_url, make)
