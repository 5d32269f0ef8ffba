"""The phone's time zone, and which instants a local time can mean.

Only `time.localtime`: Android's own zone data stands behind it, while Python's zoneinfo has none on a phone.
"""

from __future__ import annotations

import calendar
import os
import time
from typing import Callable

from .deadline import Deadline
from .termux import system_property
from .trouble import LogTrouble

DAY_S = 86_400


def current_zone(deadline: Deadline) -> str:
    """The name of the phone's zone at this moment, from here on also the process's own. Raises LogTrouble."""
    name = system_property(deadline, "persist.sys.timezone")
    if name:
        # A TZ left in the shell would be another zone than the one in which Android writes its log.
        os.environ["TZ"] = name
    time.tzset()
    if "/" in name and not name.startswith("Etc/") and time.tzname[0] in ("UTC", name.split("/")[0]):
        raise LogTrouble(f"Python on this phone does not know the time zone {name}; run `pkg install tzdata`.")
    return name or os.environ.get("TZ", "").lstrip(":") or time.tzname[0]


def wall_seconds(local: tuple[int, ...]) -> int:
    """A local time (year to second) as if it were UTC. Raises ValueError for a date that is none."""
    wall = calendar.timegm(local)
    if tuple(time.gmtime(wall)[:6]) != local:
        raise ValueError(local)
    return wall


def offset(second: int) -> int:
    """The offset from UTC, in seconds, at a moment."""
    return time.localtime(second).tm_gmtoff


def instants(wall: int, offset: Callable[[int], int] = offset) -> list[int]:
    """The seconds since 1970 that a local time can mean, earliest first: one, or two where clocks went back.

    A time that clocks skipped, which Android never writes, is read with the offset before the change.
    """
    before, after = offset(wall - DAY_S), offset(wall + DAY_S)
    found = {wall - one for one in (before, after) if offset(wall - one) == one}
    return sorted(found) or [wall - before]
