"""Days of five phones: the network fails, agent and server are killed, logs are trimmed, cleared and reset.

`make campaign` runs 30 days; the clock of all processes is libfaketime's.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
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

DAYS = int(os.environ.get("DAYS", "2"))
HOURS_APART = 3
CONTACTS_A_DAY = 24 // HOURS_APART
SHARE = 0.17
"""Of requests that fail; with the agents and servers that are killed, at least 30 % of the contacts do."""

START_S = 1_806_624_000
"""2027-04-02 00:00 UTC: Lord Howe's clocks go back by half an hour on the 4th."""

ZONES = ("Australia/Lord_Howe", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "America/Santiago")
LIBRARY = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
LIAR, HASTY = ((sys.executable, str(Path(__file__).parent / f"{name}_server.py")) for name in ("lying", "hasty"))


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
        self.put_back: set[str] = set()
        """Numbers whose calls were acknowledged by a server that then lost its disk, and not since."""

    def acknowledged(self) -> set[str]:
        """The numbers of the calls that the agent holds for stored."""
        with closing(sqlite3.connect(self.phone.home / "outbox.db")) as outbox:
            return {
                json.loads(report)["number"]
                for (report,) in outbox.execute("select report from rows where state = 'held'")
            }


class Campaign:
    """All phones of an account, their network and their server."""

    def __init__(self, folder: Path, url: str, seed: int, program: tuple[str, ...], deaths: float) -> None:
        self.random, self.clock, self.folder, self.url = random.Random(seed), Clock(folder), folder, url
        self.deaths, self.numbers = deaths, 0
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
        self.copies: list[Path] = []

    def pair(self, handset: Handset) -> None:
        self.proxy.port, self.proxy.share = self.service.port, 0.0
        code = on_database(self.url, lambda c: create_code(c, self.account, handset.name, new_device=True))
        # The code is made by this process's clock, which is not the simulated one.
        on_database(self.url, lambda c: c.execute("update pairing_codes set expires_ms = 9999999999999"))
        result = handset.phone.run("pair", self.proxy.url, code.code, **self.clock.for_agent)
        assert result.returncode == 0, result.stderr

    def run(self, days: int, *, until_violation: bool = False) -> None:
        for contact in range(days * CONTACTS_A_DAY):
            if until_violation and self.violations:
                return
            for handset in self.handsets:
                self.live(handset, HOURS_APART * 3_600 // len(self.handsets))
                self.contact(handset, share=SHARE)
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
        if share and self.random.random() < self.deaths:
            process = handset.phone.start("sync", **self.clock.for_agent)
            death = self.random.random()
            if death < 0.3:
                self.proxy.after_answer = self.service.kill
                process.communicate()
                self.proxy.after_answer = None
            else:
                time.sleep(self.random.uniform(0.05, 0.4))
                (process if death < 0.7 else self.service).kill()
            self.counts["agents killed" if 0.3 <= death < 0.7 else "servers killed"] += 1
            self.counts["contacts that were cut off"] += 1
            if self.service.process.poll() is not None:
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
        if contact % CONTACTS_A_DAY == 2:
            self.copy_and_put_back(Path(self.url.removeprefix("sqlite:///")))

    def copy_and_put_back(self, file: Path) -> None:
        """The day's copy is made; now and then the disk dies then, and yesterday's copy is all that there is."""
        copy = self.folder / f"copy{len(self.copies)}.db"
        with closing(sqlite3.connect(file)) as database, closing(sqlite3.connect(copy)) as target:
            database.backup(target)
        self.copies.append(copy)
        if len(self.copies) < 2 or self.random.random() < 0.5:
            return
        self.service.kill()
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self.copies[-2], file)
        self.service.start()
        self.counts["older copies"] += 1
        for handset in self.handsets:
            handset.put_back = handset.acknowledged()
            if self.claims(handset)[0] is None:
                handset.first_ms = None  # that copy is from before the phone's first whole read

    def claims(self, handset: Handset) -> tuple[int | None, list[tuple[int, int]]]:
        """What the server says of a phone: its value and its gaps."""

        async def read(connection: Any) -> tuple[int | None, list[tuple[int, int]]]:
            devices = await list_devices(connection, self.account)
            gaps = await list_gaps(connection, self.account)
            device = next((device for device in devices if device.name == handset.name), None)
            if device is None:
                self.violations.append(f"{handset.name}: its pairing was answered and is missing")
                return None, []
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
        for number in handset.acknowledged() - handset.put_back - stored.keys():
            self.violations.append(f"{handset.name}: {number} was acknowledged and is missing")
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
        self.service.kill()  # libfaketime breaks the orderly end where a connection is still open
        self.proxy.stop()


def campaign(folder: Path, url: str, days: int, program: tuple[str, ...] = RINGBACK, deaths: float = 0.12) -> list[str]:
    """The violations of so many days; those of a program that is patched to fail, of the days until it does.

    `deaths` is the share of contacts in which the agent or the server is killed.
    """
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"seed {seed}")
    run = Campaign(folder, url, seed, program, deaths)
    try:
        run.run(days, until_violation=program != RINGBACK)
    finally:
        run.stop()
    print(dict(run.counts), f"{run.numbers} calls")
    failed = run.counts["contacts that failed"] + run.counts["contacts that were cut off"]
    print(f"{failed / (failed + run.counts['contacts']):.0%} of the contacts failed")
    assert run.violations or run.counts["contacts"] > days * 10
    return run.violations


@pytest.mark.timeout(900)
def test_days_of_five_phones(tmp_path: Path, fresh: Callable[[str], str]) -> None:
    """On SQLite, since a server that is put back to an older copy is part of it; PostgreSQL has the long form."""
    engine = os.environ.get("ENGINE", "sqlite")
    assert campaign(tmp_path, fresh(engine), DAYS) == []


CONTROLS = [(LIAR, "now"), (HASTY, "")]
if DAYS > 2:
    CONTROLS.append((LIAR, "ignore"))  # takes longer to be caught


@pytest.mark.parametrize(("program", "lie"), CONTROLS)
def test_controls_that_claim_too_much(
    tmp_path: Path, fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, program: tuple[str, ...], lie: str
) -> None:
    monkeypatch.setenv("LIE", lie)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert campaign(tmp_path, fresh("sqlite"), 20, program, deaths=0.12 if lie == "now" else 0.6) != []


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
