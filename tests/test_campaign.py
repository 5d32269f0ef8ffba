"""Days of five phones: the network fails, agent and server are killed, logs are trimmed, cleared and reset.

`make campaign` runs 30 days; the clock of all processes is libfaketime's.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lossy_proxy import LossyProxy
from ringback.accounts import create_account
from ringback.devices import list_devices
from ringback.pairing import create_code
from ringback.proof import list_gaps
from service import RINGBACK, Service, on_database
from termux.simulator import ARABIC, ASCII, BURMESE, PERSIAN, Phone
from test_proof import moment

DAYS = int(os.environ.get("DAYS", "3"))
HOURS_APART = 3
START_S = 1_806_624_000
"""2027-04-02 00:00 UTC: Lord Howe's clocks go back by half an hour on the 4th."""

ZONES = ("Australia/Lord_Howe", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "America/Santiago")
LIBRARY = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
LIAR = (sys.executable, str(Path(__file__).parent / "lying_server.py"))


class Clock:
    """The simulated time of every process that has its environment."""

    def __init__(self, folder: Path) -> None:
        self._file, self._offset = folder / "time", START_S - time.time()
        self.advance(0)
        assert LIBRARY, "libfaketime is missing: install the package faketime"
        # Where it leaves the monotonic clock alone it breaks `time.sleep`; else a server that lives on sees leaps.
        self.for_server = {
            "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1",
        }  # fmt: skip
        self.for_agent = {name: one for name, one in self.for_server.items() if "MONOTONIC" not in name}

    def advance(self, seconds: float) -> None:
        self._offset += seconds
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{self._offset:+.3f}")
        draft.replace(self._file)

    def now_ms(self) -> int:
        return int((time.time() + self._offset) * 1_000)


class Made(NamedTuple):
    """A call that a phone wrote into its log."""

    number: str
    second: int
    written_ms: int


class Handset:
    """One phone of the campaign, and all calls it ever had."""

    def __init__(self, folder: Path, name: str, zone: str, digits: str, sims: int) -> None:
        folder.mkdir()
        self.name, self.sims = name, sims
        self.phone = Phone(folder, zone=zone, digits=digits)
        self.made: dict[int, Made] = {}
        self.first: set[int] = set()
        self.first_ms: int | None = None
        """The log at the first read that counted, and its moment: what came later must come through, too."""


class Campaign:
    """All phones of an account, their network and their server."""

    def __init__(self, folder: Path, url: str, seed: int, program: tuple[str, ...], database: str = "") -> None:
        self.random, self.clock, self.folder, self.url = random.Random(seed), Clock(folder), folder, url
        self.program, self.numbers = program, 0
        self.proxy = LossyProxy(random.Random(seed + 1))
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.service = Service(url, program=(*program, "serve"), variables=self.clock.for_server)
        self.account = on_database(url, lambda c: create_account(c, "shop")).id
        self.handsets = [
            Handset(folder / f"phone{n}", f"phone{n}", zone, digits, sims=2 if n == 0 else 1)
            for n, (zone, digits) in enumerate(zip(ZONES, (ASCII, ARABIC, PERSIAN, BURMESE, ASCII), strict=True))
        ]
        for handset in self.handsets:
            self.pair(handset)
            self.add_call(handset)
        self.copy: Path | None = None

    def pair(self, handset: Handset) -> None:
        self.proxy.port, self.proxy.share = self.service.port, 0.0
        code = on_database(self.url, lambda c: create_code(c, self.account, handset.name, new_device=True))
        # The code is made by this process's clock, which is not the simulated one.
        on_database(self.url, lambda c: c.execute("update pairing_codes set expires_ms = 9999999999999"))
        result = handset.phone.run("pair", self.proxy.url, code.code, **self.clock.for_agent)
        assert result.returncode == 0, result.stderr

    def run(self, days: int, *, until_violation: bool = False) -> None:
        for contact in range(days * 24 // HOURS_APART):
            if until_violation and self.violations:
                return
            for handset in self.handsets:
                self.live(handset, HOURS_APART * 3_600 // len(self.handsets))
                self.contact(handset, share=0.08)
            self.server_troubles(contact)
        for handset in self.handsets:
            self.contact(handset, share=0.0)
            self.contact(handset, share=0.0, certain=True)
            self.check(handset, final=True)

    def live(self, handset: Handset, seconds: int) -> None:
        """Some time passes, and calls with it."""
        count = 560 if self.random.random() < 0.01 else self.random.choice((0, 1, 2, 3, 6))
        for _ in range(count):
            self.clock.advance(seconds / count)
            self.add_call(handset)
        if not count:
            self.clock.advance(seconds)
        phone = handset.phone
        if phone.rows and self.random.random() < 0.2:
            self.random.choice(phone.rows)["name"] = self.random.choice(("Anna", "Nguyễn", "張偉"))
        if self.random.random() < 0.1:
            phone.zone = self.random.choice(ZONES)
            self.counts["zone changes"] += 1
        if handset.first_ms is not None and phone.rows and self.random.random() < 0.02:
            self.clear(handset)

    def clear(self, handset: Handset) -> None:
        """The log is cleared; or the whole phone is reset and paired again."""
        handset.phone.rows.clear()
        if self.random.random() < 0.5:
            shutil.rmtree(handset.phone.home)
            self.pair(handset)
            self.counts["resets"] += 1
        self.counts["cleared logs"] += 1
        self.add_call(handset)

    def add_call(self, handset: Handset) -> None:
        self.numbers += 1
        now = self.clock.now_ms()
        number = f"+3247{self.numbers:07}"
        for _ in range(2 if self.random.random() < 0.05 else 1):
            type, sim = self.random.choice((1, 2, 3, 3, 5)), str(self.random.randrange(handset.sims))
            row = handset.phone.call(number, now, type=type, subscription_id=sim)
            handset.made[row["_id"]] = Made(number, now // 1_000, now)

    def contact(self, handset: Handset, share: float, *, certain: bool = False) -> None:
        """The agent runs, perhaps to be killed; then what the server claims is held against the truth."""
        self.proxy.port, self.proxy.share = self.service.port, share
        before_ms = self.clock.now_ms()
        succeeded = False
        if share and self.random.random() < 0.12:
            process = handset.phone.start("sync", **self.clock.for_agent)
            time.sleep(self.random.uniform(0.05, 0.4))
            if self.random.random() < 0.6:
                process.kill()
                self.counts["agents killed"] += 1
            else:
                self.service.kill()
                self.counts["servers killed"] += 1
                self.service.start()
            process.communicate()
        else:
            result = handset.phone.run("sync", **self.clock.for_agent)
            self.counts["contacts" if result.returncode == 0 else "contacts that failed"] += 1
            succeeded = result.returncode == 0
            if "pair the phone again" in result.stdout:
                # The server was put back to a copy from before the phone was reset.
                self.pair(handset)
                return self.contact(handset, share, certain=certain)
            assert result.returncode == 0 or not certain, result.stdout
        if self.random.random() < 0.3:
            self.proxy.deliver_late()
        value, _ = self.claims(handset)
        if value is None or handset.first_ms is None:
            handset.first, handset.first_ms = {row["_id"] for row in handset.phone.rows}, value
        if succeeded and (value is None or not before_ms - 2_000 <= value <= self.clock.now_ms()):
            self.violations.append(f"{handset.name}: the value is not the moment of the read: {value} {before_ms}")
        return self.check(handset)

    def server_troubles(self, contact: int) -> None:
        if self.random.random() < 0.3:
            self.service.kill()
            self.service.start()
            self.counts["servers killed"] += 1
        if not self.url.startswith("sqlite:///"):
            return
        file = Path(self.url.removeprefix("sqlite:///"))
        if contact % 8 == 2:
            self.service.stop()
            self.copy = self.folder / "copy.db"
            shutil.copy(file, self.copy)
            self.service.start()
        elif contact % 8 == 7 and self.copy:
            self.service.stop()
            for suffix in ("-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
            shutil.copy(self.copy, file)
            self.service.start()
            self.counts["older copies"] += 1

    def claims(self, handset: Handset) -> tuple[int | None, list[tuple[int, int]]]:
        """What the server says of a phone: its value and its gaps."""

        async def read(connection: Any) -> tuple[int | None, list[tuple[int, int]]]:
            devices = await list_devices(connection, self.account)
            gaps = await list_gaps(connection, self.account)
            device = next(device for device in devices if device.name == handset.name)
            shown = gaps.get(device.number, [])
            return device.synced_through_ms, [(moment(gap["from"]), moment(gap["to"])) for gap in shown]

        return on_database(self.url, read)

    def check(self, handset: Handset, *, final: bool = False) -> None:
        value, gaps = self.claims(handset)
        sql = (
            "select p.number, c.second, c.other_second from calls c join parties p on p.account_id = c.account_id"
            " and p.id = c.party_id join devices d on d.account_id = c.account_id and d.id = c.device_id"
            " where c.account_id = $1 and d.name = $2"
        )
        rows = on_database(self.url, lambda c: c.fetch(sql, self.account, handset.name))
        stored: dict[str, list[tuple[int, ...]]] = {}
        for number, *seconds in rows:
            stored.setdefault(number, []).append(tuple(second for second in seconds if second is not None))
        made: dict[str, list[Made]] = {}
        for id, one in handset.made.items():
            made.setdefault(one.number, []).append(one)
            counts = id in handset.first or (handset.first_ms is not None and one.written_ms >= handset.first_ms)
            required = counts and value is not None and one.written_ms < value
            excused = any(start <= one.written_ms <= end + 999 for start, end in gaps)
            if required and not excused and one.number not in stored:
                self.violations.append(f"{handset.name}: {one} is claimed and missing; {value} {gaps}")
        for number, found in stored.items():
            truth = made.get(number, [])
            if len(found) > len(truth) or any(truth[0].second not in seconds for seconds in found):
                self.violations.append(f"{handset.name}: {truth} is stored as {found}")
        if final:
            still = {row["_id"] for row in handset.phone.rows}
            for number, ones in made.items():
                in_log = sum(id in still for id, one in handset.made.items() if one.number == number)
                if len(stored.get(number, [])) < in_log or len(ones) < in_log:
                    self.violations.append(f"{handset.name}: {number} stands in the log {in_log} times, not here")

    def stop(self) -> None:
        self.service.stop()
        self.proxy.stop()


def campaign(folder: Path, url: str, days: int, program: tuple[str, ...] = RINGBACK) -> list[str]:
    """The violations of so many days; those of a program that is patched to fail, of the days until it does."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"seed {seed}")
    run = Campaign(folder, url, seed, program)
    try:
        run.run(days, until_violation=program != RINGBACK)
    finally:
        run.stop()
    print(dict(run.counts), f"{run.numbers} calls")
    assert run.violations or run.counts["contacts"] > days * 10
    return run.violations


def test_days_of_five_phones(tmp_path: Path, fresh: Callable[[str], str]) -> None:
    """On SQLite, since a server that is put back to an older copy is part of it; PostgreSQL has the long form."""
    engine = os.environ.get("ENGINE", "sqlite")
    assert campaign(tmp_path, fresh(engine), DAYS) == []


@pytest.mark.parametrize("lie", ["now", "ignore"])
def test_controls_that_claim_too_much(
    tmp_path: Path, fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    monkeypatch.setenv("LIE", lie)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert campaign(tmp_path, fresh("sqlite"), 5, LIAR) != []


def test_libfaketime_moves_the_clock(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    code = "import time; print(int(time.time()))"
    shown = subprocess.run(
        (sys.executable, "-c", code),
        env={**os.environ, **clock.for_agent},
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(int(shown.stdout) - START_S) < 60
