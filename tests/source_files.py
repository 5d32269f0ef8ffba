"""Files of every source, written from calls, and what each source can say of a call.

A call is a report of Android's own table: all its fields are there.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from backup_files import PRESENTATIONS, TYPES, backup, call_element

Call = dict[str, Any]
Report = dict[str, Any]

TERMUX_TYPES = {
    "incoming": "INCOMING", "outgoing": "OUTGOING", "missed": "MISSED", "voicemail": "VOICEMAIL",
    "rejected": "REJECTED", "blocked": "BLOCKED",
}  # fmt: skip
TAKEOUT_TAGS = {"missed": "missed", "incoming": "received", "outgoing": "placed", "voicemail": "voicemail"}


def one_call(**more: Any) -> Call:
    """A missed call that no test has to tell more of."""
    said = {
        "number": "+12025550100", "type": "missed", "date_ms": 1_761_231_000_000, "duration_sec": 0, "sim_id": "1",
        "country_iso": "US", "geo_location": None, "presentation": "allowed", "cached_name": None,
    }  # fmt: skip
    return said | more


def android_row(place: int, call: Call) -> dict[str, str | None]:
    presentation = PRESENTATIONS.get(call["presentation"])
    return {
        "_id": str(place + 1),
        "date": str(call["date_ms"]),
        "duration": str(call["duration_sec"]),
        "type": str(TYPES[call["type"]]),
        "presentation": str(presentation) if presentation else None,
        "subscription_id": call["sim_id"],
        "countryiso": call["country_iso"],
        "number": call["number"] or "",
        "geocoded_location": call["geo_location"],
        "name": call["cached_name"],
    }


def write_xml(path: Path, calls: list[Call]) -> None:
    path.write_text(backup(map(call_element, calls)), "utf-8")


def write_zipped_xml(path: Path, calls: list[Call]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("backup/calls-20251023.xml", backup(map(call_element, calls)))


def write_sms_ie(path: Path, calls: list[Call]) -> None:
    rows = [{k: v for k, v in android_row(n, call).items() if v is not None} for n, call in enumerate(calls)]
    path.write_text(json.dumps(rows[::-1], indent=2, ensure_ascii=False), "utf-8")


def write_adb(path: Path, calls: list[Call]) -> None:
    rows = [android_row(n, call) for n, call in enumerate(calls)][::-1]
    texts = (", ".join(f"{name}={'NULL' if v is None else v}" for name, v in row.items()) for row in rows)
    path.write_text("".join(f"Row: {n} {text}\n" for n, text in enumerate(texts)), "utf-8")


def write_termux(path: Path, calls: list[Call], zone: str = "UTC") -> None:
    """The calls in the order of time, as the log stands."""
    rows = []
    for call in calls:
        hours, rest = divmod(call["duration_sec"], 3_600)
        clock = f"{rest // 60:02}:{rest % 60:02}"
        at = datetime.fromtimestamp(call["date_ms"] // 1_000, ZoneInfo(zone))
        rows.append({
            "name": call["cached_name"] or "UNKNOWN_CALLER",
            "phone_number": call["number"] or "",
            "type": TERMUX_TYPES.get(call["type"], "UNKNOWN_TYPE"),
            "date": at.strftime("%Y-%m-%d %H:%M:%S"),
            "duration": f"{hours:02}:{clock}" if hours else clock,
            "sim_id": call["sim_id"],
        })  # fmt: skip
    path.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", "utf-8")


def takeout_page(call: Call) -> str:
    number, name = call["number"] or "", escape(call["cached_name"] or "")
    at = datetime.fromtimestamp(call["date_ms"] / 1_000, ZoneInfo("America/New_York")).isoformat(
        timespec="milliseconds"
    )
    hours, rest = divmod(call["duration_sec"], 3_600)
    seconds = f'<abbr class="duration" title="PT{hours}H{rest // 60}M{rest % 60}S">({rest})</abbr>'
    tag = TAKEOUT_TAGS[call["type"]]
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd">\n'
        f'<html><head><title>Call\u202ffrom</title></head><body><div class="haudio"><span class="fn">Call from</span>'
        f'<div class="contributor vcard">Call <a class="tel" href="tel:{number}"><span class="fn">{name}</span></a>'
        f'</div><abbr class="published" title="{at}">x</abbr><br/>{seconds if call["duration_sec"] else ""}'
        f'<div class="tags">Labels: <a rel="tag" href="http://www.google.com/voice#inbox">Inbox</a>, '
        f'<a rel="tag" href="http://www.google.com/voice#{tag}">{tag}</a></div></div></body></html>\n'
    )


def write_takeout(path: Path, calls: list[Call]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Takeout/archive_browser.html", "<html><body>Takeout</body></html>")
        archive.writestr("Takeout/Drive/list.csv", "a,b\n1,2\n")
        for n, call in enumerate(calls):
            at = datetime.fromtimestamp(call["date_ms"] // 1_000, UTC).strftime("%Y-%m-%dT%H_%M_%SZ")
            folder = "Spam" if n % 9 == 0 else "Calls"
            archive.writestr(f"Takeout/Voice/{folder}/ - {at} {n:05}.html", takeout_page(call))


IOS_TABLE = (
    "create table ZCALLRECORD (Z_PK integer primary key, ZANSWERED integer, ZORIGINATED integer, ZDATE timestamp,"
    " ZDURATION float, ZADDRESS blob, ZISO_COUNTRY_CODE varchar, ZLOCATION varchar, ZNAME varchar)"
)


def write_ios(path: Path, calls: list[Call], journal: str = "delete") -> None:
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute(f"pragma journal_mode={journal}")
    database.execute(IOS_TABLE)
    for n, call in enumerate(calls):
        number = call["number"]
        database.execute(
            "insert into ZCALLRECORD values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                n + 1, call["type"] == "incoming", call["type"] == "outgoing", call["date_ms"] / 1_000 - 978_307_200,
                call["duration_sec"] + 0.4, number.encode() if number and n % 2 else number, call["country_iso"],
                call["geo_location"] or "<<RecentsNumberLocationNotFound>>", call["cached_name"],
            ),
        )  # fmt: skip
    database.commit()
    database.close()


OURS = (
    "kind", "number", "name", "started_at", "duration_sec", "geo_location", "device", "sim_id", "presentation",
    "started_at_ms", "precision", "country_iso",
)  # fmt: skip


def our_row(call: Call) -> dict[str, Any]:
    at = datetime.fromtimestamp(call["date_ms"] / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "kind": call["type"], "number": call["number"], "name": call["cached_name"], "started_at": at,
        "duration_sec": call["duration_sec"], "geo_location": call["geo_location"], "device": None,
        "sim_id": call["sim_id"], "presentation": call["presentation"], "started_at_ms": call["date_ms"],
        "precision": "ms", "country_iso": call["country_iso"],
    }  # fmt: skip


def write_csv(path: Path, calls: list[Call]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, OURS, delimiter=";")
    writer.writeheader()
    writer.writerows(our_row(call) for call in calls)
    path.write_bytes(out.getvalue().encode("utf-16"))


def write_jsonl(path: Path, calls: list[Call]) -> None:
    path.write_text("".join(json.dumps(our_row(call)) + "\n" for call in calls), "utf-8")


class SourceKind(NamedTuple):
    """How a source's file is written, and what it can say."""

    name: str
    ending: str
    write: Callable[[Path, list[Call]], None]
    fields: tuple[str, ...]
    """What it says besides number, type, moment, duration and name."""
    kinds: tuple[str, ...] = tuple(TYPES)
    says_raw_type: bool = True
    precision: str = "ms"

    def said(self, call: Call) -> Report:
        """What it says of a call."""
        always = ("number", "type", "date_ms", "duration_sec", "cached_name", "occurrence")
        report = {
            name: call[name] for name in (*always, *self.fields) if call.get(name) is not None or name == "number"
        }
        report |= {"source": self.name, "precision": self.precision}
        if self.says_raw_type:
            report["type_raw"] = str(TYPES[call["type"]])
        if self.name == "termux":
            report["type_raw"] = TERMUX_TYPES.get(call["type"], "UNKNOWN_TYPE")
            report["type"] = call["type"] if call["type"] in TERMUX_TYPES else "unknown"
        if report["source"] == "jsonl":
            del report["source"]
        return report


ANDROID = ("presentation", "sim_id", "geo_location", "country_iso")
KINDS = {
    "xml": SourceKind("sms_backup_restore", "xml", write_xml, ("presentation", "sim_id")),
    "zip": SourceKind("sms_backup_restore", "zip", write_zipped_xml, ("presentation", "sim_id")),
    "sms_import_export": SourceKind("provider", "json", write_sms_ie, ANDROID),
    "adb": SourceKind("provider", "txt", write_adb, ANDROID),
    "termux": SourceKind("termux", "json", write_termux, ("sim_id",), precision="s"),
    "takeout": SourceKind("takeout", "zip", write_takeout, (), tuple(TAKEOUT_TAGS), says_raw_type=False),
    "ios": SourceKind(
        "ios", "storedata", write_ios, ("geo_location", "country_iso"), ("missed", "incoming", "outgoing"), False
    ),
    "csv": SourceKind("csv", "csv", write_csv, ANDROID, says_raw_type=False),
    "jsonl": SourceKind("jsonl", "jsonl", write_jsonl, ANDROID, says_raw_type=False),
}
