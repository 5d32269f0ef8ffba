"""The worker's loops: deliver events to endpoints, notice silent phones, forget old events.

Any number of processes may run them on one database; a delivery belongs for seconds to the one that has claimed it.
"""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from ringback.addresses import Resolve, resolve
from ringback.db import Connection, Database
from ringback.devices import silent_accounts, tell_of_silence
from ringback.errors import RingbackError
from ringback.logs import log_fault
from ringback.sending import Attempt, send, sign
from ringback.settings import Settings
from ringback.times import DAY_MS, now_ms, today
from ringback.webhooks import accounts_with_old_events, forget_old_events

LOOK_SECONDS: Final = 1
"""How often it is looked for due deliveries where nobody tells of them."""

LEASE_MS: Final = 6_000
"""How long a claim holds. Longer, and deliveries of a worker that was killed would wait longer."""

RENEW_SECONDS: Final = 2
MOST_AT_ONCE: Final = 400
"""Requests that a process has under way."""

MOST_OF_ACCOUNT: Final = 100
"""Of these, so that one account's slow receivers leave room for others."""

JITTER: Final = 0.1
PAUSE_AFTER_MS: Final = 5 * DAY_MS
GONE: Final = 410
STOP_SECONDS: Final = 3
"""How long requests that are under way may take when the worker is stopped; what is cut off is sent again."""

SILENCE_SECONDS: Final = 30
FORGET_SECONDS: Final = 3_600

Place = tuple[int, int]
"""An account and the number of a delivery."""


class Claim(NamedTuple):
    """A delivery that this process sends."""

    account_id: int
    number: int
    round: int
    webhook: int
    url: str
    secrets: list[str]
    event_id: str
    type: str
    body: str


class Worker:
    """The loops of one process."""

    def __init__(self, database: Database, settings: Settings, resolve: Resolve = resolve) -> None:
        self._database, self._settings, self._resolve = database, settings, resolve
        self._woken = asyncio.Event()
        self._sending: dict[Place, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []

    @property
    def is_running(self) -> bool:
        """Whether all of its loops run."""
        return not any(loop.done() for loop in self._loops)

    def start(self) -> None:
        """Begin."""
        self._unlisten = self._database.listen(self._woken.set)
        for loop in (self._deliver, self._renew, self._notice_silence, self._forget):
            self._loops.append(asyncio.create_task(_for_ever(loop)))

    async def stop(self) -> None:
        """End, after a moment for what is under way; the rest is left to others at once."""
        self._unlisten()
        await _cancel(self._loops)
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=STOP_SECONDS)
        left = list(self._sending)
        await _cancel(self._sending.values())
        for account_id in {account for account, _ in left}:
            with suppress(RingbackError):
                await self._lease(account_id, [place for place in left if place[0] == account_id], 0)

    async def _deliver(self) -> None:
        """Claim what is due and send it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
        self._woken.clear()
        now, most = now_ms(), self._settings.webhook_concurrency
        due = await self._database.read(lambda connection: _due_webhooks(connection, now))
        for account_id, webhooks in due.items():
            free = min(
                MOST_AT_ONCE - len(self._sending),
                MOST_OF_ACCOUNT - sum(account == account_id for account, _ in self._sending),
            )
            if free <= 0:
                continue
            claim_due = partial(claim, account_id=account_id, webhooks=webhooks, most=most, free=free, now_ms=now)
            claims = await self._database.write(claim_due, account_id)
            for one in claims:
                place = one.account_id, one.number
                self._sending[place] = asyncio.create_task(self._send(one))
                self._sending[place].add_done_callback(partial(self._sent, place))

    def _sent(self, place: Place, _: object) -> None:
        del self._sending[place]
        self._woken.set()

    async def _send(self, claim: Claim) -> None:
        headers = sign(claim.secrets, claim.event_id, claim.type, claim.body, now_ms() // 1_000)
        settings = self._settings
        attempt = await send(
            claim.url, claim.body, headers, settings.webhook_networks, settings.webhook_timeout_s, self._resolve
        )
        try:
            await self._database.write(
                lambda connection: note_attempt(connection, claim, attempt, settings.webhook_retries_s),
                claim.account_id,
            )
        except RingbackError:
            pass  # what can't be noted is sent again when the claim ends
        except Exception as error:
            log_fault(error)

    async def _renew(self) -> None:
        """Keep the claims of what is under way."""
        await asyncio.sleep(RENEW_SECONDS)
        places = list(self._sending)
        for account_id in {account for account, _ in places}:
            await self._lease(account_id, [place for place in places if place[0] == account_id], now_ms() + LEASE_MS)

    async def _lease(self, account_id: int, places: list[Place], until_ms: int) -> None:
        rows = [(*place, until_ms) for place in places]
        await self._database.write(lambda connection: connection.execute_many(_RENEW, rows), account_id)

    async def _notice_silence(self) -> None:
        """Tell of phones that have fallen silent."""
        for account_id in await self._database.read(lambda c: silent_accounts(c, now_ms())):
            await self._database.write(partial(tell_of_silence, account_id=account_id, now_ms=now_ms()), account_id)
        await asyncio.sleep(SILENCE_SECONDS)

    async def _forget(self) -> None:
        """Delete what is too old."""
        for account_id in await self._database.read(lambda c: accounts_with_old_events(c, now_ms())):
            await self._database.write(partial(forget_old_events, account_id=account_id, now_ms=now_ms()), account_id)
        await asyncio.sleep(FORGET_SECONDS)


async def _for_ever(step: Any) -> None:
    """Run a step over and over; a database that is away, or a fault of ours, only delays it."""
    while True:
        try:
            await step()
        except RingbackError:
            await asyncio.sleep(LOOK_SECONDS)
        except Exception as error:
            log_fault(error)
            await asyncio.sleep(LOOK_SECONDS)


async def _cancel(tasks: Any) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


_LEASE: Final = "update deliveries set lease_ms = $3 where account_id = $1 and id = $2"
_RENEW: Final = f"{_LEASE} and lease_ms > 0"
"""Not where the attempt has ended meanwhile."""


async def _due_webhooks(connection: Connection, now_ms: int) -> dict[int, list[int]]:
    """The endpoints that something may be sent to now, by account."""
    rows = await connection.fetch(
        "select w.account_id, w.id from webhooks w join accounts a on a.id = w.account_id"
        " where w.status = 'active' and w.hold_ms <= $1 and (a.date_limit is null or a.date_limit >= $2)"
        " and exists (select 1 from deliveries d where d.account_id = w.account_id and d.webhook_id = w.id"
        " and d.status = 'pending' and d.due_ms <= $1 and d.lease_ms <= $1) order by w.account_id, w.id",
        now_ms, today().isoformat(),
    )  # fmt: skip
    due: dict[int, list[int]] = {}
    for account_id, id in rows:
        due.setdefault(account_id, []).append(id)
    return due


async def claim(
    connection: Connection, account_id: int, webhooks: list[int], most: int, free: int, now_ms: int
) -> list[Claim]:
    """Claim due deliveries of some endpoints, the oldest first: at most so many of each at once, and so many in all."""
    claims: list[Claim] = []
    for webhook in webhooks:
        # The lock keeps two workers from claiming more than `most` together.
        row = await connection.fetch_one(
            "select url, secret, old_secret, old_until_ms from webhooks where account_id = $1 and id = $2"
            f" and status = 'active' and hold_ms <= $3{connection.for_update}",
            account_id, webhook, now_ms,
        )  # fmt: skip
        under_way = await connection.fetch_one(
            "select count(*) from deliveries where account_id = $1 and webhook_id = $2 and status = 'pending'"
            " and due_ms <= $3 and lease_ms > $3",
            account_id, webhook, now_ms,
        )  # fmt: skip
        assert under_way is not None
        limit = min(most - under_way[0], free - len(claims))
        if row is None or limit <= 0:
            continue
        url, secret, old_secret, old_until_ms = row
        secrets = [old_secret, secret] if old_until_ms > now_ms else [secret]
        rows = await connection.fetch(
            "select d.id, d.round, e.id, e.type, e.body from deliveries d"
            " join events e on e.account_id = d.account_id and e.change = d.change"
            " where d.account_id = $1 and d.webhook_id = $2 and d.status = 'pending' and d.due_ms <= $3"
            " and d.lease_ms <= $3 order by d.due_ms, d.id limit $4",
            account_id, webhook, now_ms, limit,
        )  # fmt: skip
        claims += [Claim(account_id, number, round, webhook, url, secrets, *event) for number, round, *event in rows]
    await connection.execute_many(_LEASE, [(account_id, claim.number, now_ms + LEASE_MS) for claim in claims])
    return claims


async def note_attempt(connection: Connection, claim: Claim, attempt: Attempt, retries_s: tuple[float, ...]) -> None:
    """Keep what became of an attempt, and what follows from it for its delivery and its endpoint."""
    place = claim.account_id, claim.number
    row = await connection.fetch_one(
        "update deliveries set attempts = attempts + 1, lease_ms = 0 where account_id = $1 and id = $2"
        " returning attempts, tries, round, status",
        *place,
    )
    if row is None:  # the endpoint was deleted meanwhile
        return
    number, tries, round, status = row
    await connection.execute(
        "insert into attempts (account_id, delivery_id, number, at_ms, duration_ms, status, error, answer)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        *place, number, attempt.at_ms, attempt.duration_ms, attempt.status, attempt.error, attempt.answer,
    )  # fmt: skip
    now = now_ms()
    if round == claim.round and attempt.succeeded:
        await connection.execute("update deliveries set status = 'delivered' where account_id = $1 and id = $2", *place)
    elif round == claim.round:
        failed = tries >= len(retries_s)
        wait_ms = 0 if failed else int(retries_s[tries] * 1_000 * (1 + random.random() * JITTER))
        await connection.execute(
            "update deliveries set tries = tries + 1, status = $3, due_ms = $4 where account_id = $1 and id = $2",
            *place, "failed" if failed and status == "pending" else status, now + wait_ms,
        )  # fmt: skip
    await _note_receiver(connection, claim, attempt, now)


async def _note_receiver(connection: Connection, claim: Claim, attempt: Attempt, now_ms: int) -> None:
    """Keep what an attempt says of its endpoint, unless it has another url by now."""
    place = claim.account_id, claim.webhook
    row = await connection.fetch_one(
        "select failing_since_ms, hold_ms, status from webhooks where account_id = $1 and id = $2 and url = $3",
        *place, claim.url,
    )  # fmt: skip
    if row is None:
        return
    failing_since_ms, hold_ms, status = row
    if attempt.succeeded:
        if failing_since_ms is not None:
            await connection.execute(
                "update webhooks set failing_since_ms = null where account_id = $1 and id = $2", *place
            )
        return
    since = attempt.at_ms if failing_since_ms is None else failing_since_ms
    if attempt.status == GONE:
        status = "disabled"
        await connection.execute(
            "update deliveries set status = 'cancelled' where account_id = $1 and webhook_id = $2"
            " and status = 'pending'",
            *place,
        )
    elif status == "active" and now_ms - since >= PAUSE_AFTER_MS:
        status = "paused"
    until = max(hold_ms, now_ms + 1_000 * (attempt.retry_after_s or 0)) if attempt.retry_after_s else hold_ms
    await connection.execute(
        "update webhooks set failing_since_ms = $3, hold_ms = $4, status = $5 where account_id = $1 and id = $2",
        *place, since, until, status,
    )  # fmt: skip


async def work_until_stopped(database: Database, settings: Settings) -> None:
    """Run a worker until a signal ends it."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    worker = Worker(database, settings)
    worker.start()
    await stopped.wait()
    await worker.stop()
