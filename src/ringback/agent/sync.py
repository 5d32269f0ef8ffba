"""One run: read the log into the outbox, and bring the outbox to the server."""

from __future__ import annotations

import random
import time
from contextlib import closing
from pathlib import Path

from .calllog import Reading, read_log
from .deadline import RUN_SECONDS, Deadline, deadline
from .home import Config, load_config, lock
from .outbox import ANSWERS, HELD, Outbox, open_outbox
from .proof import Clock, manifest, send_heartbeat
from .schedule import warn_after_a_day
from .server import Server, read_address
from .termux import LOG_SECONDS
from .trouble import LogTrouble, ServerTrouble, Trouble

BATCH = 500
PROOFS = 3
"""Manifests of one read: after the first, what is missing was sent again."""

PAUSE_S = 3.0
"""Between reads that wait for a call's row."""

GREETING_SECONDS = 12.0
"""For the heartbeat, so that a server that sends a byte now and then leaves time to read the log."""

WARNING_SECONDS = 1.5
"""For the notification, at the end of a run that may have used up all the rest."""

LONGEST_WAIT_FOR_ROW_S = 18.0
"""So that the whole run still ends within 30 s."""

FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 6 * 3_600.0


def sync(home: Path, *, scheduled: bool = False, wait_s: float = 0.0) -> int:
    """Bring the log to the server; the exit code: 0 all done, 1 something is kept for later. Raises Trouble.

    `scheduled`: leave a server alone that has just failed. `wait_s`: how long to wait for the row of a call that has
    just ended, and before for another run to end.
    """
    config = load_config(home)
    address = read_address(config.server)
    wait_s = min(wait_s, LONGEST_WAIT_FOR_ROW_S)
    troubles: list[Trouble] = []
    started = time.monotonic()
    with lock(home, wait_s), open_outbox(home) as outbox:
        try:
            with (
                deadline(RUN_SECONDS - WARNING_SECONDS - (time.monotonic() - started)) as limit,
                closing(Server(address, config.token, limit)) as server,
            ):
                _run(outbox, server, limit, scheduled, wait_s, troubles)
        except Trouble as stopped:
            troubles.append(stopped)
        outbox.note(trouble=troubles[0].sentence if troubles else None)
        if troubles:
            with deadline(WARNING_SECONDS) as limit:
                warn_after_a_day(outbox, limit, config)
    for trouble in troubles:
        print(trouble.sentence)
    return 1 if troubles else 0


def _run(
    outbox: Outbox, server: Server, limit: Deadline, scheduled: bool, wait_s: float, troubles: list[Trouble]
) -> None:
    """All steps of a run, each as far as it goes; what goes wrong on the way is added to `troubles` or raised."""
    clock = _greet(outbox, server, limit, scheduled, troubles)
    reading = _read(outbox, limit, wait_s, troubles)
    if clock is not None:
        _bring(outbox, server, clock, reading, troubles)


def _bring(outbox: Outbox, server: Server, clock: Clock, reading: Reading | None, troubles: list[Trouble]) -> None:
    """Send what waits and prove that the server has it."""
    try:
        outbox.send_rejected_again()
        _send(outbox, server)
        if reading is not None:
            _prove(outbox, server, clock, reading)
            outbox.note(synced_at=time.time())
        outbox.note(failures=0, wait_until=0.0)
    except ServerTrouble as trouble:
        _back_off(outbox, trouble)
        troubles.append(trouble)


def _greet(outbox: Outbox, server: Server, limit: Deadline, scheduled: bool, troubles: list[Trouble]) -> Clock | None:
    """Send the heartbeat; the server's clock, None where it is not there or is to be left alone."""
    wait_s = outbox.noted("wait_until", 0.0) - time.time()
    if scheduled and 0 < wait_s < LONGEST_WAIT_S * 4:
        troubles.append(Trouble(f"The server is left alone for {round(wait_s):,} s; what is read is kept."))
        return None
    try:
        with deadline(GREETING_SECONDS):
            return send_heartbeat(outbox, server, limit)
    except ServerTrouble as trouble:
        _back_off(outbox, trouble)
        troubles.append(trouble)
    except Trouble:
        slow = ServerTrouble("The server answers too slowly; what is read is kept for the next run.")
        _back_off(outbox, slow)
        troubles.append(slow)
    return None


def _read(outbox: Outbox, limit: Deadline, wait_s: float, troubles: list[Trouble]) -> Reading | None:
    """The log, also taken into the outbox; None where it can't be read, and then nothing has advanced."""
    try:
        reading = _wait_for_row(outbox, limit, wait_s)
    except LogTrouble as trouble:
        outbox.note(permission=trouble.permission)
        troubles.append(trouble)
        return None
    outbox.keep(reading.rows)
    outbox.note(permission="ok")
    return reading


def _wait_for_row(outbox: Outbox, limit: Deadline, wait_s: float) -> Reading:
    """Read until the log has a row that is new, at most for so long: Android writes it a moment after the call."""
    known = outbox.states()
    end = time.monotonic() + min(wait_s, limit.left() - LOG_SECONDS)
    while True:
        reading = read_log(limit)
        if time.monotonic() + PAUSE_S >= end or any(row.identity not in known for row in reading.rows):
            return reading
        time.sleep(PAUSE_S)


def _prove(outbox: Outbox, server: Server, clock: Clock, reading: Reading) -> None:
    """Tell the server every row of the read, and send again what it does not have. Raises ServerTrouble."""
    for _ in range(PROOFS):
        states = outbox.states()
        rows = [row for row in reading.rows if row.seconds and states.get(row.identity) == HELD]
        answer = server.post("/v1/sync/manifest", manifest(clock, reading, rows))
        missing = answer.get("missing")
        if not isinstance(missing, list) or not all(type(one) is int and 0 <= one < len(rows) for one in missing):
            raise ServerTrouble("The server's answer to the manifest can't be read; it is asked again later.", 200)
        outbox.note(synced_through_ms=answer.get("synced_through_ms"))
        if not missing:
            return
        print(f"The server misses {len(missing)} calls; they are sent again.")
        outbox.send_again(rows[place].identity for place in missing)
        _send(outbox, server)
    raise ServerTrouble("The server still misses calls that were sent; the next run tries again.", 200)


def _send(outbox: Outbox, server: Server) -> None:
    """Send all that waits, in batches. Raises ServerTrouble."""
    counts = dict.fromkeys(ANSWERS, 0)
    size = BATCH
    while batch := outbox.next(size):
        body = ('{"calls": [' + ", ".join(one.report for one in batch) + "]}").encode()
        try:
            statuses = _statuses(server.post("/v1/sync/calls", body), len(batch))
        except ServerTrouble as trouble:
            if trouble.status != 413 or size == 1:
                raise
            size = max(1, len(batch) // 2)
            continue
        outbox.answer(batch, statuses)
        for status in statuses:
            counts[status] += 1
    print("Sent: " + ", ".join(f"{count} {status}" for status, count in counts.items()) + ".")


def _statuses(answer: object, count: int) -> list[str]:
    results = answer.get("results") if isinstance(answer, dict) else None
    statuses = [str(one.get("status")) for one in results if isinstance(one, dict)] if isinstance(results, list) else []
    if len(statuses) != count or not set(statuses) <= set(ANSWERS):
        raise ServerTrouble("The server's answer does not name a result for each call; all are kept.", 200)
    return statuses


def _back_off(outbox: Outbox, trouble: ServerTrouble) -> None:
    """Note until when scheduled runs leave the server alone: as it asked, else longer each time, with jitter."""
    failures = outbox.noted("failures", 0) + 1
    wait_s = trouble.retry_after_s
    if wait_s is None:
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures, 20))
        wait_s = random.uniform(longest / 2, longest)
    outbox.note(failures=failures, wait_until=time.time() + wait_s)


def describe(outbox: Outbox, config: Config) -> str:
    """How things stand, for `status`."""
    synced_at = outbox.noted("synced_at")
    lines = {
        "paired": f"{config.name} with {config.server}",
        "last complete sync": clock_text(synced_at and synced_at * 1_000),
        "known complete up to": clock_text(outbox.noted("synced_through_ms")),
        "waiting": f"{outbox.count()} calls",
        "rejected": f"{outbox.count('rejected')} calls",
        "last trouble": outbox.noted("trouble") or "none",
    }
    return "\n".join(f"{name + ':':22}{value}" for name, value in lines.items())


def clock_text(ms: float | None) -> str:
    """A moment for people, in the phone's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1_000)) if ms else "none yet"
