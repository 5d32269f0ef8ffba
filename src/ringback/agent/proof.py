"""The heartbeat, and the manifest by which a server knows that it has every row of a read."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from . import VERSION
from .calllog import Reading, Row
from .deadline import Deadline
from .outbox import Outbox
from .server import Server
from .termux import battery
from .trouble import LogTrouble, ServerTrouble
from .zone import current_zone

EARLIEST_S, AHEAD_S = 631_152_000, 86_400
"""From 1990 on, and to a day ahead: the dates that a server takes."""


class Clock(NamedTuple):
    """The server's clock as the phone knows it: never its own, which may be wrong by years."""

    server_ms: int
    """What the server's clock showed when its answer arrived."""
    arrived: float
    """When that was, by the monotonic clock, which stands still while a phone sleeps: this clock is never ahead."""

    def at(self, monotonic: float) -> int:
        """What the server's clock shows at a moment of the monotonic clock, in ms."""
        return self.server_ms + int((monotonic - self.arrived) * 1_000)


def send_heartbeat(outbox: Outbox, server: Server, limit: Deadline) -> Clock:
    """Say how the phone is; the server's clock. Raises ServerTrouble."""
    percent, charging = battery(limit)
    try:
        zone = current_zone(limit)
    except LogTrouble:
        zone = ""
    said = {
        "agent_version": VERSION, "time_zone": zone[:100], "outbox": outbox.count(), "battery": percent,
        "charging": charging, "permission": outbox.noted("permission", "unknown"),
    }  # fmt: skip
    answer = server.post("/v1/sync/heartbeat", said)
    arrived = time.monotonic()
    server_ms, rules = answer.get("server_time_ms"), answer.get("rules")
    if type(server_ms) is not int or not isinstance(rules, dict):
        raise ServerTrouble(f"{server.address.host} does not answer as a Ringback server does; check its address.", 200)
    if any(rules.values()):
        # Calls that must stay on the phone may not leave it because an old agent knows no rules.
        raise ServerTrouble("The server has rules for this phone that this agent is too old for: run `update`.", 200)
    return Clock(server_ms, arrived)


def manifest(clock: Clock, reading: Reading, rows: list[Row]) -> dict[str, Any]:
    """What a read says: how much each SIM's log holds, and the rows that the server should have."""
    at_ms = clock.at(reading.started)
    sims: dict[Any, list[Row]] = {}
    for row in reading.rows:
        sims.setdefault(row.sim, []).append(row)
    return {
        "read": {
            "at_ms": at_ms,
            "logs": [
                {"sim_id": sim, "rows": len(held), "from_ms": _from_ms(held, at_ms)} for sim, held in sims.items()
            ],
        },
        "sent_at_ms": clock.at(time.monotonic()),
        "rows": [[row.kind, row.seconds, row.key, row.occurrence] for row in rows],
    }


def _from_ms(rows: list[Row], at_ms: int) -> int:
    """The latest instant that the oldest row with a good date may be; the read's own moment where none has one."""
    for row in rows:
        if row.seconds and EARLIEST_S <= row.seconds[0] <= at_ms // 1_000 + AHEAD_S:
            return row.seconds[-1] * 1_000 + 999
    return at_ms
