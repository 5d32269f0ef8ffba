"""The file that benchmarks bring in."""

from __future__ import annotations

from pathlib import Path

from backup_files import call_element

NAMES = ("Anna Peeters", "Nguyễn Văn Đức", "张伟", "", "José", "Garage De Wissel")
TYPES = ("missed", "incoming", "outgoing", "incoming", "outgoing", "rejected")


def write_backup(file: Path, calls: int, first_ms: int = 1_500_000_000_000, apart_ms: int = 61_337) -> None:
    """A file as it comes from a phone that was used for years: 5,000 numbers, the newest call last."""
    with file.open("w", encoding="utf-8") as out:
        out.write(f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<calls count=\"{calls}\">\n")
        for n in range(calls):
            party = n * 7_919 % 5_000
            report = {
                "number": f"+32470{party:06}",
                "type": TYPES[n % len(TYPES)],
                "date_ms": first_ms + n * apart_ms,
                "duration_sec": n % 700,
                "presentation": "allowed",
                "sim_id": "1",
                "cached_name": NAMES[party % len(NAMES)],
            }
            out.write(f"  {call_element(report)}\n")
        out.write("</calls>\n")
