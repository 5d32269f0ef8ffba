"""Reading the call log: what `termux-call-log` (Termux:API 0.53) prints becomes rows in UTC."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any, Callable, NamedTuple

from .deadline import Deadline
from .termux import LOG_SECONDS, run
from .text import clean_number, number_key_digest, trim
from .trouble import LogTrouble, Trouble
from .zone import current_zone, instants, offset, wall_seconds

COMMAND = "termux-call-log"
PAGE = 200
"""Rows to ask for where a maker's phone does not give all of them at once."""

TYPES = {
    "INCOMING": "incoming", "OUTGOING": "outgoing", "MISSED": "missed",
    "VOICEMAIL": "voicemail", "REJECTED": "rejected", "BLOCKED": "blocked",
}  # fmt: skip
EARLIEST_S = 631_152_000
"""The beginning of 1990."""

CLASSES = {"outgoing": "out", "voicemail": "voicemail"}

_DATE = re.compile(r"([0-9]{4,6})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_DURATION = re.compile(r"[0-9]{1,9}(:[0-9]{2}){1,2}")


class Row(NamedTuple):
    """One row of the log: which call it is, and what the server is told of it."""

    kind: str
    """The class of a manifest: `in`, `out` or `voicemail`."""
    seconds: tuple[int, ...]
    """When it began, in seconds since 1970: two where summer time's end leaves it open; none where it can't be read."""
    key: str
    """The digest of the number's key, in hex."""
    occurrence: int
    sim: str | None
    report: dict[str, Any]

    @property
    def identity(self) -> str:
        """What makes two rows the same call."""
        return json.dumps([self.kind, self.seconds, self.key, self.occurrence])


class Reading(NamedTuple):
    """One good read of the whole log, oldest row first."""

    rows: list[Row]
    started: float
    """When the log command was started, by the monotonic clock."""
    zone: str


def read_log(deadline: Deadline) -> Reading:
    """Read the whole log. Raises LogTrouble, and then nothing may advance."""
    for _ in range(3):
        zone = current_zone(deadline)
        started = time.monotonic()
        rows = _ask_for_all(deadline)
        if current_zone(deadline) == zone:
            return Reading(normalise(rows, int(time.time())), started, zone)
        # The rows' text may belong to either zone.
    raise LogTrouble("The phone's time zone keeps changing; the call log is read in the next run.")


def _ask_for_all(deadline: Deadline) -> list[Any]:
    """All rows. `-l 0` gives them on Android's provider; a maker's may give fewer, which a second question shows."""
    rows = _ask(deadline, 0, 0)
    if not _ask(deadline, 1, len(rows)):
        return rows
    newest = _ask(deadline, 1, 0)
    pages: list[list[Any]] = []
    while page := _ask(deadline, PAGE, sum(map(len, pages))):
        pages.append(page)
    if _ask(deadline, 1, 0) != newest:
        raise LogTrouble("A call came in while the log was read; it is read in the next run.")
    return [row for page in reversed(pages) for row in page]  # each page is printed oldest first


def _ask(deadline: Deadline, limit: int, skip: int) -> list[Any]:
    try:
        output = run(deadline, LOG_SECONDS, COMMAND, "-l", str(limit), *(("-o", str(skip)) if limit else ()))
    except LogTrouble:
        raise
    except Trouble as trouble:
        raise LogTrouble(trouble.sentence) from trouble
    return parse(output)


def parse(output: bytes) -> list[Any]:
    """The rows in an output. Raises LogTrouble for an error object and for empty, truncated or other output."""
    text = output.decode("utf-8", "surrogateescape").strip()
    if not text:
        raise LogTrouble("Termux:API answered nothing; open the app Termux:API once, or update it to 0.51 or newer.")
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise LogTrouble("Termux:API's answer breaks off; the call log is read in the next run.") from None
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    error = rows.get("error") if isinstance(rows, dict) else None
    if isinstance(error, str) and ("READ_CALL_LOG" in error or "permission" in error.lower()):
        raise LogTrouble(
            "Android does not let Termux:API read the call log; allow it in Settings, Apps, Termux:API, Permissions,"
            " Call logs (from Android 13 on first: the menu of that page, Allow restricted settings).",
            "denied",
        )
    raise LogTrouble("Termux:API's answer is no call log; update Termux:API and termux-api.")


def normalise(rows: list[dict[str, Any]], now_s: int, offset: Callable[[int], int] = offset) -> list[Row]:
    """The rows of a read, oldest first, in UTC and numbered. `offset` is that of the phone's zone at a second."""
    told = [_describe(row) for row in rows]
    walls = [_wall(row.get("date")) for row in rows]
    choices = [[] if wall is None else instants(wall, offset) for wall in walls]
    # A row without a date, which Android shows as 1970, says nothing of its neighbours.
    dated = [choice if choice and choice[0] >= EARLIEST_S else [] for choice in choices]
    decided = [known or choice for known, choice in zip(decide(dated, now_s), choices)]
    kinds = [CLASSES.get(report["type"], "in") for report in told]
    keys = [number_key_digest(clean_number(report["number"], None)).hex() for report in told]
    texts = list(zip(kinds, keys, walls))
    open_texts = {text for text, chosen in zip(texts, decided) if len(chosen) > 1}
    seen: Counter[Any] = Counter()
    normal = []
    for place, report in enumerate(told):
        # Equal rows of one repeated hour belong together, also where the order decides some of them.
        seconds = tuple(choices[place] if texts[place] in open_texts else decided[place])
        same = (kinds[place], seconds, keys[place], None if seconds else json.dumps(rows[place], sort_keys=True))
        report["occurrence"] = seen[same]
        seen[same] += 1
        if seconds:
            report["date_ms"] = seconds[0] * 1_000
            report["tz_offset_min"] = offset(seconds[0]) // 60
        else:
            report["date_ms"] = rows[place].get("date")  # for the server to refuse and keep, so that somebody sees it
        if len(seconds) > 1:
            report["date_other_ms"] = seconds[1] * 1_000
        sim = report.get("sim_id")
        normal.append(Row(kinds[place], seconds, keys[place], report["occurrence"], sim, report))
    return normal


def decide(choices: list[list[int]], now_s: int) -> list[list[int]]:
    """What each row's moment can still be when its neighbours are heard: the log stands in the order of time."""
    earliest: list[int] = []
    bound = 0
    for choice in choices:
        bound = min((one for one in choice if one >= bound), default=bound)
        earliest.append(bound)
    decided = []
    bound = now_s
    for choice, first in zip(reversed(choices), reversed(earliest)):
        bound = max((one for one in choice if one <= bound), default=bound)
        possible = [one for one in choice if first <= one <= bound]
        decided.append(possible or choice)
    return decided[::-1]


def _describe(row: dict[str, Any]) -> dict[str, Any]:
    """The report of a row without its time. What can't be read is left as it is, for the server to refuse and keep."""
    raw, name, sim = row.get("type"), row.get("name"), row.get("sim_id")
    number = row.get("phone_number")
    report = {
        "number": number if isinstance(number, str) else None,
        "type": TYPES.get(str(raw), "unknown"),
        "duration_sec": _duration(row.get("duration")),
        "precision": "s",
        "source": "termux",
        "cached_name": None
        if name in (None, "UNKNOWN_CALLER", "null", "(Unknown)") or not trim(str(name))
        else str(name),
        "sim_id": None if sim is None or not trim(str(sim)) else str(sim),
        "type_raw": None if raw is None else str(raw),
    }
    return {field: value for field, value in report.items() if value is not None or field == "number"}


def _wall(text: Any) -> int | None:
    """The local time of `yyyy-MM-dd HH:mm:ss` in the digits of any script, as if it were UTC; None where it is none."""
    match = _DATE.fullmatch(_ascii_digits(text).strip()) if isinstance(text, str) else None
    try:
        return wall_seconds(tuple(int(part) for part in match.groups())) if match else None
    except (ValueError, OverflowError, OSError):
        return None


def _duration(text: Any) -> Any:
    """Seconds of `MM:SS` or `HH:MM:SS`, else what stands there."""
    figures = _ascii_digits(text).strip() if isinstance(text, str) else ""
    if not _DURATION.fullmatch(figures):
        return text
    seconds = 0
    for part in figures.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds


def _ascii_digits(text: str) -> str:
    return "".join(str(int(c)) if c.isdecimal() else c for c in text)
