"""Measures how long an event takes from its making, just before the commit, to the receiver, at 50 calls/s."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgresql import new_database, postgresql_server
from receiver import Receiver
from service import Service
from test_webhooks import LOCAL, Shop, fresh_call

CALLS = 1_000
SECONDS_APART = 0.02


def measure(engine: str, url: str) -> None:
    receiver = Receiver()
    service = Service(url, variables=LOCAL)
    try:
        shop = Shop(service, receiver.url, "call.missed")
        shop.send(fresh_call("+12025550000"))
        receiver.wait_for(1)
        started, threads = time.perf_counter(), []
        for place in range(CALLS):
            time.sleep(max(0.0, started + place * SECONDS_APART - time.perf_counter()))
            report = fresh_call(f"+1202556{place:04}")
            threads.append(threading.Thread(target=shop.send, args=(report,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        received = receiver.wait_for(CALLS + 1)[1:]
        made = [datetime.fromisoformat(one.event["created_at"]).timestamp() for one in received]
        waits = sorted(1_000 * (one.at - moment) for one, moment in zip(received, made, strict=True))
        assert len({one.event["id"] for one in received}) == CALLS
        print(
            f"{engine}: {CALLS / (time.perf_counter() - started):.0f} calls/s, to the receiver: median"
            f" {waits[CALLS // 2]:.0f} ms, 99 % {waits[CALLS * 99 // 100]:.0f} ms, longest {waits[-1]:.0f} ms",
            flush=True,
        )
    finally:
        service.stop()
        receiver.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, postgresql_server() as server:
        measure("SQLite", f"sqlite:///{folder}/ringback.db")
        measure("PostgreSQL", new_database(server))


main()
