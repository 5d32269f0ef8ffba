"""Imports, phones and readers on one database from several processes, some of them killed on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from backup_files import backup, call_element
from ringback.devices import create_device, create_device_token
from service import RINGBACK, Service, bearer, call, environment, on_database
from test_kills import HASTY, Call, new_seed, stored_calls

ROWS = 16_000
PHONES = 4
BATCHES = 30
BATCH = 25


def new_phone(service: Service, account_id: int, name: str) -> str:
    async def make(connection: Any) -> str:
        device = await create_device(connection, account_id, name)
        return await create_device_token(connection, account_id, device.number)

    return on_database(service.database_url, make)


def workers_of(service: Service) -> list[int]:
    pid = service.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def send_all(url: str, token: str, phone: int, acknowledged: list[Call], once: bool = False) -> None:
    """Send a phone's batches, each until it is acknowledged; with `once`, none a second time."""
    for batch in range(BATCHES):
        rows = [call(f"+1300{phone}{batch:05}", date_ms=1_761_231_000_000 + 1_000 * n) for n in range(BATCH)]
        while True:
            try:
                answer = httpx.post(
                    f"{url}/v1/sync/calls", json={"calls": rows}, headers=bearer(token), timeout=60, trust_env=False
                )
            except httpx.TransportError:
                if once:
                    break
                time.sleep(0.05)
                continue
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 200:
                acknowledged += [(row["number"], row["date_ms"]) for row in rows]
                break


def test_importers_and_phones_at_once(database_url: str, tmp_path: Path) -> None:
    seed = new_seed()
    print(f"seed {seed}")
    generator = random.Random(seed)
    several = [Service(database_url, "--workers", "2")]
    if database_url.startswith("postgresql"):
        several.append(Service(database_url))
    service = several[0]
    try:
        customer = service.customer()
        rows = [call(f"+14{n:06}", date_ms=1_600_000_000_000 + n * 1_000) for n in range(ROWS * 3 // 2)]
        files = []
        for n in range(2):
            files.append(tmp_path / f"calls-{n}.xml")
            mine = rows[n * ROWS // 2 : n * ROWS // 2 + ROWS]
            files[n].write_text(backup(map(call_element, mine)), "utf-8")
        command = (*RINGBACK, "import", "--account", customer.name, "--device", "import")
        importers = [start(command, file, database_url) for file in files]
        tokens = [new_phone(service, customer.id, f"phone {n}") for n in range(PHONES)]
        acknowledged: list[Call] = []
        with ThreadPoolExecutor(PHONES) as pool:
            urls = [several[n % len(several)].url for n in range(PHONES)]
            sending = [
                pool.submit(send_all, url, token, n, acknowledged)
                for n, (url, token) in enumerate(zip(urls, tokens, strict=True))
            ]
            time.sleep(generator.uniform(0.3, 1.5))
            importers[0].kill()
            os.kill(generator.choice(workers_of(service)), signal.SIGKILL)
            for one in sending:
                one.result()
        importers[0].wait()
        _, errors = importers[1].communicate(timeout=120)
        assert importers[1].returncode == 0, errors
        _, errors = start(command, files[0], database_url).communicate(timeout=120)
        assert errors == b""
        stored = stored_calls(database_url, customer.id)
        assert len(acknowledged) == PHONES * BATCHES * BATCH
        assert sorted(stored) == sorted([*acknowledged, *((row["number"], row["date_ms"]) for row in rows)])
        check_counts(database_url, customer.id)
    finally:
        for one in several:
            one.kill()


def start(command: tuple[str, ...], file: Path, database_url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (*command, str(file)), env=environment(RINGBACK_DATABASE_URL=database_url), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def check_counts(database_url: str, account_id: int) -> None:
    """The stored counts equal those of the rows."""
    kept, counted = (
        on_database(database_url, lambda c, sql=sql: c.fetch(sql, account_id))  # type: ignore[misc]
        for sql in (
            "select kind, quarter, n from quarters where account_id = $1 and n <> 0 order by kind, quarter",
            "select kind, at_ms / 900000, count(*) from calls where account_id = $1 group by 1, 2 order by 1, 2",
        )
    )
    assert [tuple(row) for row in kept] == [tuple(row) for row in counted]


def test_the_control_loses(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers before it commits, killed while phones send: what it acknowledged is gone."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    for _ in range(5):
        service = Service(database_url, "--workers", "2", program=(*HASTY, "serve"))
        try:
            customer = service.customer()
            acknowledged: list[Call] = []
            threading.Timer(0.7, service.kill).start()
            send_all(service.url, customer.token, 0, acknowledged, once=True)
            service.process.wait()
        finally:
            if service.process.poll() is None:
                service.kill()
        if set(acknowledged) - set(stored_calls(database_url, customer.id)):
            return
    raise AssertionError("the control lost nothing")
