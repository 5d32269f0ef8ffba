"""Prints what an import costs: calls per second and memory, for each database."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from backup_files import call_element
from postgresql import new_database, postgresql_server
from service import RINGBACK, environment, run

CALLS = 100_000
NAMES = ("Anna Peeters", "Nguyễn Văn Đức", "张伟", "", "José", "Garage De Wissel")
TYPES = ("missed", "incoming", "outgoing", "incoming", "outgoing", "rejected")


def write_backup(file: Path, calls: int) -> None:
    """A file as it comes from a phone that was used for years: 5,000 numbers, the newest call last."""
    with file.open("w", encoding="utf-8") as out:
        out.write(f"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<calls count=\"{calls}\">\n")
        for n in range(calls):
            party = n * 7_919 % 5_000
            report = {
                "number": f"+32470{party:06}",
                "type": TYPES[n % len(TYPES)],
                "date_ms": 1_500_000_000_000 + n * 61_337,
                "duration_sec": n % 700,
                "presentation": "allowed",
                "sim_id": "1",
                "cached_name": NAMES[party % len(NAMES)],
            }
            out.write(f"  {call_element(report)}\n")
        out.write("</calls>\n")


def measure(url: str, file: Path) -> tuple[float, int]:
    """Seconds and the largest memory (bytes) of `ringback import`, as one process from start to end."""
    variables = {"RINGBACK_DATABASE_URL": url}
    assert run("account", "create", "bench", **variables).returncode == 0
    started = time.perf_counter()
    process = subprocess.Popen(
        (*RINGBACK, "import", str(file), "--account", "bench"), env=environment(**variables), stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - started, usage.ru_maxrss * 1_024


def main() -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {CALLS:,} calls")
    with tempfile.TemporaryDirectory() as folder, postgresql_server(durable=True) as server:
        file = Path(folder) / "calls.xml"
        write_backup(file, CALLS)
        for engine, url in (("SQLite", f"sqlite:///{folder}/bench.db"), ("PostgreSQL", new_database(server))):
            seconds, memory = measure(url, file)
            print(f"import into {engine}: {CALLS / seconds:,.0f} calls/s, {memory / 1e6:,.0f} MB")


main()
