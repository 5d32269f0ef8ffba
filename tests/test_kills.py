"""The server is killed while phones send: what was acknowledged is there afterwards, and a repeat doubles nothing."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from service import RINGBACK, Service, call, on_database

KILLS = 20
Call = tuple[str, int]
"""The number and moment of a call."""

HASTY = (sys.executable, str(Path(__file__).parent / "hasty_server.py"))


def send_until_killed(service: Service, token: str, batches: list[list[Any]]) -> list[Call]:
    """Send batches one after the other; returns the calls that were acknowledged."""
    acknowledged: list[Call] = []
    for batch in batches:
        try:
            service.send(token, *batch)
        except httpx.TransportError:
            break
        acknowledged += [(report["number"], report["date_ms"]) for report in batch]
    return acknowledged


def lost_after_kills(database_url: str, program: tuple[str, ...], kills: int, seed: int) -> int:
    """How many acknowledged calls are gone after so many kills; asserts that nothing was doubled."""
    print(f"seed {seed}")
    generator = random.Random(seed)
    service = Service(database_url, program=(*program, "serve"))
    try:
        customer = service.customer()
        acknowledged: list[Call] = []
        everything = []
        for kill in range(kills):
            batches = [
                [call(f"+1202{kill:03}{n:04}", date_ms=1_761_231_000_000 + 1_000 * i) for i in range(50)]
                for n in range(200)
            ]
            threading.Timer(generator.uniform(0.05, 0.4), service.kill).start()
            acknowledged += send_until_killed(service, customer.token, batches)
            everything.append(batches)
            service.process.wait()
            time.sleep(0.05)
            service.start()
        kept = stored_calls(database_url, customer.id)
        for batch in [batch for batches in everything for batch in batches[:3]]:
            service.send(customer.token, *batch)
            assert service.statuses(customer.token, *batch) == ["duplicate"] * len(batch)
        again = stored_calls(database_url, customer.id)
        assert len(set(again)) == len(again)
        assert acknowledged
        return len(set(acknowledged) - set(kept))
    finally:
        service.stop()


def stored_calls(database_url: str, account_id: int) -> list[Call]:
    sql = (
        "select p.number, c.at_ms from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
        " where c.account_id = $1"
    )
    return [tuple(row) for row in on_database(database_url, lambda c: c.fetch(sql, account_id))]


def new_seed() -> int:
    return int(os.environ.get("SEED") or random.randrange(2**32))


def test_nothing_acknowledged_is_lost(database_url: str) -> None:
    assert lost_after_kills(database_url, RINGBACK, KILLS, new_seed()) == 0


def test_the_control_loses(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert lost_after_kills(database_url, HASTY, 3, new_seed()) > 0
