"""Prints what an import costs on each database, how fast pages are, and what the phone agent does.

CALLS=1000000 imports and exports as many; PAGE_CALLS=1000000 measures pages of a large account, which takes minutes
to fill.
"""

from __future__ import annotations

import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.files import write_backup
from lossy_proxy import LossyProxy
from postgresql import new_database, postgresql_server
from ringback.accounts import find_account
from ringback.agent_archive import build_archive
from ringback.pairing import create_code
from service import RINGBACK, Service, call, environment, make_member, on_database, run
from termux.simulator import Phone

CALLS = int(os.environ.get("CALLS") or 100_000)
"""Calls of the file that is imported and exported."""

PAGE_CALLS = int(os.environ.get("PAGE_CALLS") or 100_000)
"""Calls of the account whose pages are measured: three years of them, up to now."""

PAGES = ("/", "/calls", "/calls?page=40", "/calls?q=nguyen", "/calls?open=1", "/calls?kind=missed&weekday=1&hour=9")
LOG_ROWS = 2_000
RUNS = 9


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


def measure_export(url: str, folder: Path, format: str) -> tuple[float, int]:
    """Seconds and the largest memory (bytes) of `ringback export`, as one process from start to end."""
    started = time.perf_counter()
    process = subprocess.Popen(
        (*RINGBACK, "export", "--account", "bench", "--format", format, "-o", str(folder / f"calls.{format}")),
        env=environment(RINGBACK_DATABASE_URL=url),
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - started, usage.ru_maxrss * 1_024


def measure_sync_beside_imports(url: str, files: list[Path]) -> None:
    """How long a phone's sync takes while two imports of other accounts run on the same database."""
    service = Service(url)
    try:
        customer = service.customer()
        importers = []
        for n, file in enumerate(files):
            assert run("account", "create", f"beside {n}", RINGBACK_DATABASE_URL=url).returncode == 0
            importers.append(
                subprocess.Popen(
                    (*RINGBACK, "import", str(file), "--account", f"beside {n}"),
                    env=environment(RINGBACK_DATABASE_URL=url),
                    stdout=subprocess.DEVNULL,
                )
            )
        seconds: list[float] = []
        while any(importer.poll() is None for importer in importers):
            number = f"+3247{len(seconds):07}"
            started = time.perf_counter()
            service.send(customer.token, *(call(number, date_ms=1_761_231_000_000 + 1_000 * n) for n in range(50)))
            seconds.append(time.perf_counter() - started)
            time.sleep(0.02)
        slowest, middle = 1_000 * max(seconds), 1_000 * median(seconds)
        print(f"a sync of 50 calls beside two imports: {middle:.0f} ms, at worst {slowest:.0f} ms of {len(seconds)}")
    finally:
        service.stop()


def measure_pages(folder: Path, engine: str, url: str) -> None:
    """Median time of pages of the dashboard over HTTP, and the weight of the first one with all that it loads."""
    file = folder / "pages.xml"
    apart_ms = 3 * 365 * 86_400_000 // PAGE_CALLS
    write_backup(file, PAGE_CALLS, int(time.time() * 1_000) - PAGE_CALLS * apart_ms, apart_ms)
    measure(url, file)
    service = Service(url)
    try:
        account = on_database(url, lambda c: find_account(c, "bench"))
        service.http.cookies.update(make_member(url, account.id).cookies)
        service.http.headers["Accept"] = "text/html"
        for path in PAGES:
            service.http.get(path)
            print(f"{engine}, {path}: {1_000 * median(_request_seconds(service, path) for _ in range(RUNS)):.0f} ms")
        loaded = {"/", *re.findall(r'"(/static/[^"]+)"', service.http.get("/").text)}
        print(f"weight of the first page: {sum(_weight(service, path) for path in loaded) / 1e3:.0f} kB")
    finally:
        service.stop()


def _request_seconds(service: Service, path: str) -> float:
    started = time.perf_counter()
    assert service.http.get(path).status_code == 200
    return time.perf_counter() - started


def _weight(service: Service, path: str) -> int:
    with service.http.stream("GET", path) as answer:
        return sum(map(len, answer.iter_raw()))


def measure_agent(folder: Path) -> None:
    """The agent on a simulated phone: its start, and a sync of a log that the server knows already."""
    service = Service(f"sqlite:///{folder}/agent.db")
    proxy = LossyProxy(random.Random(0))
    try:
        customer = service.customer()
        (folder / "phone").mkdir()
        phone = Phone(folder / "phone")
        for place in range(LOG_ROWS):
            moment = 1_761_231_000_000 + 61_000 * place
            phone.call(f"+3247000{place % 300:04}", moment, subscription_id=str(place // 500))
        proxy.port = service.port
        code = on_database(service.database_url, lambda c: create_code(c, customer.id, "phone", new_device=False))
        phone.ok("pair", f"{proxy.url}/pair#{code.code}")
        phone.ok("sync")
        starts, syncs, before = [], [], proxy.received_bytes
        for _ in range(RUNS):
            starts.append(_seconds(phone, "--version"))
            syncs.append(_seconds(phone, "sync"))
        sent = (proxy.received_bytes - before) / RUNS
        print(f"agent: {len(build_archive()) / 1e3:.0f} kB, starts in {median(starts):.2f} s")
        print(f"agent, a known log of {LOG_ROWS:,} rows: {median(syncs):.2f} s, {sent / 1e3:.1f} kB sent")
    finally:
        proxy.stop()
        service.stop()


def _seconds(phone: Phone, *arguments: str) -> float:
    started = time.perf_counter()
    phone.ok(*arguments)
    return time.perf_counter() - started


def main() -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {CALLS:,} calls")
    with tempfile.TemporaryDirectory() as folder, postgresql_server(durable=True) as server:
        file = Path(folder) / "calls.xml"
        write_backup(file, CALLS)
        for engine, url in (("SQLite", f"sqlite:///{folder}/bench.db"), ("PostgreSQL", new_database(server))):
            seconds, memory = measure(url, file)
            print(f"import into {engine}: {CALLS / seconds:,.0f} calls/s, {memory / 1e6:,.0f} MB")
            for format in ("csv", "jsonl", "xlsx"):
                seconds, memory = measure_export(url, Path(folder), format)
                print(f"export from {engine}, {format}: {CALLS / seconds:,.0f} calls/s, {memory / 1e6:,.0f} MB")
            measure_sync_beside_imports(url, [file, file])
        for engine, url in (("SQLite", f"sqlite:///{folder}/pages.db"), ("PostgreSQL", new_database(server))):
            measure_pages(Path(folder), engine, url)
        measure_agent(Path(folder))


main()
