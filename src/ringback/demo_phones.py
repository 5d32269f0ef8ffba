"""The phones of the demo that report over HTTP, as the phone agent does."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from ringback import __version__
from ringback.calls.contract import KINDS, PRESENTATIONS
from ringback.demo import ZONE, DemoCall
from ringback.text import clean_number, number_key_digest

MINUTES_APART: Final = 10
BATCH: Final = 2_000

_KINDS: Final = {number: word for word, number in KINDS.items()}
_PRESENTATIONS: Final = {str(number): word for word, number in PRESENTATIONS.items()}
_CLASSES: Final = {KINDS["outgoing"]: "out", KINDS["voicemail"]: "voicemail"}


def sync_for_ever(url: str, token: str, calls_until: Callable[[datetime], list[DemoCall]]) -> None:
    """Let a phone report now, and every ten minutes from a thread that ends with the process."""

    def go_on() -> None:
        while True:
            time.sleep(MINUTES_APART * 60)
            try:
                sync(url, token, calls_until(datetime.now(UTC)))
            except OSError:
                continue  # the server is ending, or busy: the next contact makes up for it

    sync(url, token, calls_until(datetime.now(UTC)))
    threading.Thread(target=go_on, daemon=True).start()


def sync(url: str, token: str, calls: list[DemoCall]) -> None:
    """Send a heartbeat, all calls and the proof that none is missing. Raises OSError where the server fails."""

    def post(path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)  # noqa: S310 - our own server
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)

    battery = 100 - datetime.now(UTC).hour * 3
    said = {"agent_version": __version__, "time_zone": ZONE, "outbox": 0, "battery": battery, "charging": False}
    server_ms = post("/v1/sync/heartbeat", {**said, "permission": "ok"})["server_time_ms"]
    rows = _rows(calls)
    for place in range(0, len(calls), BATCH):
        batch = zip(calls[place : place + BATCH], rows[place : place + BATCH], strict=True)
        post("/v1/sync/calls", {"calls": [_report(call, row[3]) for call, row in batch]})
    sims = Counter(call.sim for call in calls)
    oldest = {call.sim: _ms(call) for call in reversed(calls)}
    logs = [{"sim_id": sim, "rows": count, "from_ms": oldest[sim]} for sim, count in sims.items()]
    post("/v1/sync/manifest", {"read": {"at_ms": server_ms, "logs": logs}, "sent_at_ms": server_ms, "rows": rows})


def _ms(call: DemoCall) -> int:
    return int(call.at.timestamp() * 1_000)


def _rows(calls: list[DemoCall]) -> list[tuple[str, list[int], str, int]]:
    """What a manifest says of each call: class, second, key and its number among equal ones."""
    seen: Counter[tuple[str, int, str]] = Counter()
    rows = []
    for call in calls:
        number = clean_number(call.number, _PRESENTATIONS[call.presentation])
        same = (_CLASSES.get(call.type, "in"), _ms(call) // 1_000, number_key_digest(number).hex())
        rows.append((same[0], [same[1]], same[2], seen[same]))
        seen[same] += 1
    return rows


def _report(call: DemoCall, occurrence: int) -> dict[str, Any]:
    return {
        "number": call.number,
        "type": _KINDS[call.type],
        "date_ms": _ms(call),
        "duration_sec": call.duration,
        "presentation": _PRESENTATIONS[call.presentation],
        "cached_name": call.name,
        "sim_id": call.sim,
        "occurrence": occurrence,
        "source": "termux",
    }
