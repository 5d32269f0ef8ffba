"""An oracle: what calls a set of reports should make, worked out from all of them at once and without our code.

It knows the rules of the contract only, for reports whose numbers are plain digits with or without `+`, or hidden.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

NEARNESS = {"provider": 0, "sms_backup_restore": 1, "termux": 2, "takeout": 3, "ios": 4, "csv": 5}
DIRECTION = {"outgoing": "out", "voicemail": "voicemail"}


class Identity(NamedTuple):
    direction: str
    second: int
    key: str
    occurrence: int


def identity(report: dict[str, Any]) -> Identity:
    hidden = report["number"] is None or report.get("presentation") not in (None, "allowed")
    key = "" if hidden else report["number"].replace(" ", "").replace("-", "")
    direction = DIRECTION.get(report["type"], "in")
    return Identity(direction, report["date_ms"] // 1_000, key, report.get("occurrence") or 0)


def expected_calls(reports: list[dict[str, Any]]) -> dict[Identity, dict[str, Any]]:
    """The calls that reports make, which arrive in this order."""
    groups: dict[Identity, list[dict[str, Any]]] = {}
    for report in reports:
        groups.setdefault(identity(report), []).append(report)
    return {one: _merged(group) for one, group in groups.items()}


def _merged(group: list[dict[str, Any]]) -> dict[str, Any]:
    def best(field: str, vague: str = "") -> Any:
        """Of the known values the one of the nearest source, of one nearness the latest."""
        said = [(report, report.get(field)) for report in group if report.get(field) is not None]
        known = [(report, value) for report, value in said if value != vague] or said
        nearest = min((_near(report) for report, _ in known), default=None)
        return next((value for report, value in reversed(known) if _near(report) == nearest), None)

    to_the_ms = [report for report in group if report.get("precision") != "s"]
    moments = to_the_ms or group
    nearest = min(map(_near, moments))
    at_ms = next(report["date_ms"] for report in reversed(moments) if _near(report) == nearest)
    return {
        "number": best("number") if identity(group[0]).key else "",
        "type": best("type", "unknown"),
        "date_ms": at_ms if to_the_ms else at_ms // 1_000 * 1_000,
        "precise": bool(to_the_ms),
        "duration_sec": max(report["duration_sec"] for report in group),
        "cached_name": best("cached_name"),
        "geo_location": best("geo_location"),
        "presentation": best("presentation", "unknown"),
        "country_iso": best("country_iso"),
        "sim_id": best("sim_id"),
        "type_raw": best("type_raw"),
        "source": best("source"),
    }


def _near(report: dict[str, Any]) -> int:
    return NEARNESS.get(report.get("source") or "", 6)


SOURCES = [*NEARNESS, "handmade", None]
TYPES = ("missed", "incoming", "rejected", "blocked", "answered_elsewhere", "unknown", "outgoing", "voicemail")
START_MS = 1_750_000_000_000


def random_reports(generator: random.Random, count: int) -> list[dict[str, Any]]:
    """Reports of fewer calls: some repeat, some contradict each other, never two of one nearness for a call."""
    reports: dict[tuple[Identity, int], dict[str, Any]] = {}
    while len(reports) < count:
        report = _random_report(generator, calls=count // 4)
        reports.setdefault((identity(report), _near(report)), report)
    return list(reports.values())


def _random_report(generator: random.Random, calls: int) -> dict[str, Any]:
    choice = generator.choice
    which = generator.randrange(calls)
    digits = f"+3247{which // 3:07}"
    report: dict[str, Any] = {
        "number": choice([digits, f"{digits[:3]} {digits[3:]}", f"{digits[:5]}-{digits[5:]}"]) if which % 11 else None,
        "type": choice(TYPES),
        "date_ms": START_MS + which // 2 * 1_000 + generator.randrange(1_000),
        "duration_sec": choice([0, 0, 5, 61, 3_600]),
        "precision": choice(["ms", "s"]),
        "cached_name": choice([None, "Anna", "Nguyễn Văn", "安娜"]),
        "geo_location": choice([None, "Gent", "Hà Nội"]),
        "occurrence": choice([0, 0, 0, 1, None]),
        "country_iso": choice([None, "BE", "VN"]),
        "presentation": choice([None, "allowed", "allowed"]) if which % 11 else choice([None, "unknown", "restricted"]),
        "sim_id": choice([None, "1", "8932"]),
        "type_raw": choice([None, "3", "10"]),
        "source": choice(SOURCES),
    }
    return {name: value for name, value in report.items() if value is not None or name == "number"}
