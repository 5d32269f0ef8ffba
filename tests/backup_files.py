"""Backup files of SMS Backup & Restore, written from reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import quoteattr

TYPES = {
    "incoming": 1,
    "outgoing": 2,
    "missed": 3,
    "voicemail": 4,
    "rejected": 5,
    "blocked": 6,
    "answered_elsewhere": 7,
}
PRESENTATIONS = {"allowed": 1, "restricted": 2, "unknown": 3, "payphone": 4, "unavailable": 5}


def call_element(report: dict[str, Any]) -> str:
    attributes = {
        "number": report["number"] or "",
        "duration": report["duration_sec"],
        "date": report["date_ms"],
        "type": TYPES.get(report["type"], 99),
        "presentation": PRESENTATIONS.get(report.get("presentation") or ""),
        "subscription_id": report.get("sim_id"),
        "contact_name": report.get("cached_name") or "(Unknown)",
    }
    text = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items() if value is not None)
    return f"<call {text} />"


def backup(elements: Iterable[str], root: str = "calls") -> str:
    body = "\n  ".join(elements)
    return f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<{root} count=\"1\">\n  {body}\n</{root}>\n"


def from_file(report: dict[str, Any]) -> dict[str, Any]:
    """The report that a file's row makes of one: its source and raw type are the file's."""
    known = ("number", "type", "date_ms", "duration_sec", "presentation", "sim_id", "cached_name", "occurrence")
    more = {"source": "sms_backup_restore", "type_raw": str(TYPES.get(report["type"], 99)), "precision": "ms"}
    return {name: report[name] for name in known if name in report} | more
