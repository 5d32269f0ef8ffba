"""Streams of events: what this process's open streams hear. A stream keeps its position alone; events are shared.

Rules: the contract of webhooks, `GET /v1/events`.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, NamedTuple

from ringback.db import Connection, Database
from ringback.errors import RateLimited, RingbackError
from ringback.logs import log_fault

LOOK_SECONDS: Final = 1
"""How often it is looked for events where nobody tells of them."""

KEPT: Final = 1_000
"""Events of an account that are shared; a stream that is farther behind reads on from the database."""

EVENTS_AT_ONCE: Final = 100
END_STREAMS: Final = signal.SIGUSR1
"""Sent to a process before it is told to end: it waits for the end of its answers, and a stream has none."""
RETRY_SECONDS: Final = 10


class Event(NamedTuple):
    """An event as streams tell of it."""

    change: int
    type: str
    body: str


async def events_after(connection: Connection, account_id: int, change: int, limit: int) -> list[Event]:
    """Events after a change number, save tests, which are for their endpoints alone."""
    rows = await connection.fetch(
        "select change, type, body from events where account_id = $1 and change > $2 and webhook_id is null"
        " order by change limit $3",
        account_id, change, limit,
    )  # fmt: skip
    return [Event(*row) for row in rows]


async def last_change(connection: Connection, account_id: int) -> int:
    """The account's last change number."""
    row = await connection.fetch_one("select last_change from accounts where id = $1", account_id)
    return int(row[0]) if row else 0


class Channel:
    """What the streams of one account share."""

    def __init__(self, position: int) -> None:
        self.start = self.position = position
        """The events after the one, up to the other, are in `kept`."""
        self.kept: deque[Event] = deque()
        self.woken = asyncio.Event()
        self.streams = 0

    def add(self, events: list[Event]) -> None:
        """Take events that follow the position, and wake the streams."""
        self.kept += events
        self.position = events[-1].change
        while len(self.kept) > KEPT:
            self.start = self.kept.popleft().change
        self.wake()

    def wake(self) -> None:
        """Let all streams look."""
        self.woken.set()
        self.woken = asyncio.Event()

    def after(self, change: int) -> list[Event] | None:
        """Some events after a change number; None where they are no longer shared."""
        if change < self.start:
            return None
        if change >= self.position:
            return []
        found = []
        for event in reversed(self.kept):
            if event.change <= change:
                break
            found.append(event)
        return found[::-1]


class Hub:
    """The open streams of this process."""

    def __init__(self, database: Database, most_of_key: int) -> None:
        self._database, self._most_of_key = database, most_of_key
        self._channels: dict[int, Channel] = {}
        self._of_key: Counter[str] = Counter()
        self._woken = asyncio.Event()
        self.is_stopping = False

    def start(self) -> None:
        """Begin to hear of events."""
        self._unlisten = self._database.listen(self._woken.set)
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End all streams."""
        self.end_streams()
        self._unlisten()
        self._loop.cancel()
        await asyncio.wait((self._loop,))

    def end_streams(self) -> None:
        """Let all streams end; their clients go on elsewhere, or here later."""
        self.is_stopping = True
        for channel in self._channels.values():
            channel.wake()

    def check(self, key: str) -> None:
        """Raise RateLimited where a key has as many streams as it may have."""
        if self._of_key[key] >= self._most_of_key:
            raise RateLimited(
                f"A key may have {self._most_of_key} streams open; end one first.", retry_after=RETRY_SECONDS
            )

    @contextmanager
    def join(self, account_id: int, key: str, position: int) -> Iterator[Channel]:
        """The channel of an account, for as long as a stream is open. Raises RateLimited where a key has too many."""
        self.check(key)
        channel = self._channels.setdefault(account_id, Channel(position))
        self._of_key[key] += 1
        channel.streams += 1
        self._woken.set()
        try:
            yield channel
        finally:
            channel.streams -= 1
            self._of_key[key] -= 1
            if not self._of_key[key]:
                del self._of_key[key]
            if not channel.streams:
                del self._channels[account_id]

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
            self._woken.clear()
            try:
                await self._look()
            except RingbackError:
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:
                log_fault(error)
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        for account_id, channel in list(self._channels.items()):
            look = partial(events_after, account_id=account_id, change=channel.position, limit=EVENTS_AT_ONCE)
            found = await self._database.read(look)
            if found:
                channel.add(found)
            if len(found) == EVENTS_AT_ONCE:
                self._woken.set()
