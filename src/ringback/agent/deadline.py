"""A limit for a whole run: whatever hangs, it ends in time."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .trouble import Trouble

RUN_SECONDS = 28.0
"""A run ends within 30 s; what is left is for tidying up."""


class Deadline:
    """When a run must have ended, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, most: float = RUN_SECONDS) -> float:
        """Seconds that are left, at most so many. Raises Trouble where there are none."""
        seconds = min(most, self._end - time.monotonic())
        if seconds <= 0.05:
            raise Trouble("This run took too long and was ended; what was read is kept for the next one.")
        return seconds


@contextmanager
def deadline(seconds: float = RUN_SECONDS) -> Iterator[Deadline]:
    """A limit that also interrupts what waits without one, as a server that sends a byte a second.

    One within another counts against both; the outer one goes on after it.
    """
    limit = Deadline(seconds)
    started = time.monotonic()

    def interrupt(*_: Any) -> None:
        limit.left(0)

    before = signal.signal(signal.SIGALRM, interrupt)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield limit
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, outer - (time.monotonic() - started)))
