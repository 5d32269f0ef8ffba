"""Every kind of file: what is read of it, and that each call stays one whatever brings it."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import expected_calls, identity
from ringback.accounts import create_account
from ringback.calls.contract import parse_report
from ringback.calls.store import take_in
from ringback.cli.imports import FileFormat
from ringback.db import open_database
from ringback.imports import import_file
from ringback.sources import SOURCES
from ringback.sources.reading import Options
from ringback.times import now_ms, zone
from service import Shell, environment, in_thread, make_customer, on_database, run
from source_files import KINDS, Call, one_call, write_adb, write_csv, write_ios, write_takeout, write_termux
from test_import import CASES, counts, imported, listed, numbered, write
from test_merge import stored_calls

NAMES = (None, "Anna", "Doe, Jane", "Nguyễn Văn Đức", "安娜", 'says "hi"', "O'Brien; & <Söhne>", "=1+1", "-name=x, y")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, fresh: Any) -> str:
    return str(fresh(request.param))


def random_calls(generator: random.Random, count: int) -> list[Call]:
    """Calls as Android's table has them, oldest first; some are equal in all that makes a call the same."""
    choice = generator.choice
    found: dict[Any, Call] = {}
    while len(found) < count:
        hidden = generator.random() < 0.1
        one = {
            "number": None if hidden else f"+3247{generator.randrange(300):07}",
            "type": choice(("missed", "incoming", "outgoing", "incoming", "rejected", "blocked", "voicemail",
                            "answered_elsewhere")),
            "date_ms": 1_750_000_000_000 + generator.randrange(3_000) * 1_000 + generator.randrange(1_000),
            "duration_sec": choice((0, 5, 61, 3_725)),
            "cached_name": choice(NAMES),
            "geo_location": choice((None, "Gent", "Hà Nội")),
            "presentation": choice(("restricted", "unknown")) if hidden else "allowed",
            "sim_id": choice(("1", "8932474F")),
            "country_iso": choice(("BE", "VN")),
        }  # fmt: skip
        found.setdefault(identity(one), one)
    calls = list(found.values())
    for one in generator.sample(calls, count // 50):
        within = one["date_ms"] // 1_000 * 1_000 + generator.randrange(1_000)
        calls.append(one | {"date_ms": within, "duration_sec": 7})
    return sorted(calls, key=lambda one: one["date_ms"])


async def bring_in(url: str, account_id: int, steps: list[Path | list[dict[str, Any]]], local: str = "UTC") -> Any:
    """Import files and sync reports in this order; returns the calls that are stored then."""
    database = await open_database(url)
    try:
        for step in steps:
            if isinstance(step, Path):
                found = await import_file(database, account_id, step, Options(zone(local), {}))
                assert found.is_whole, found
            else:
                reports = [parse_report(report, now_ms()) for report in step]
                await database.write(lambda c, r=reports: take_in(c, account_id, 1, r, now_ms()), account_id)  # type: ignore[misc]
        return await database.read(lambda c: stored_calls(c, account_id))
    finally:
        await database.close()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=2)
def test_every_source_in_any_order_gives_each_call_once(shared_url: str, tmp_path_factory: Any, seed: int) -> None:
    generator = random.Random(seed)
    calls = random_calls(generator, 2_000)
    folder = tmp_path_factory.mktemp("files")
    steps: list[tuple[Path | list[dict[str, Any]], list[dict[str, Any]]]] = []
    for name, kind in KINDS.items():
        known = [one for one in calls if one["type"] in kind.kinds]
        file = folder / f"{name}.{kind.ending}"
        kind.write(file, known)
        steps.append((file, [kind.said(one) for one in numbered(known)]))
    synced = [KINDS["adb"].said(one) for one in numbered(calls)]
    steps.append((generator.sample(synced, len(synced)), synced))
    steps += generator.choices(steps, k=2)
    generator.shuffle(steps)
    customer = make_customer(shared_url)
    stored = in_thread(bring_in(shared_url, customer.id, [step for step, _ in steps]))
    assert len(stored) == len(calls)
    assert stored == expected_calls([report for _, said in steps for report in said])


REPEATED = {"Europe/Berlin": 1_698_539_400, "America/St_Johns": 1_699_158_600, "Australia/Lord_Howe": 1_743_865_200}
"""A second within the hour (or half) that clocks went through twice, at its first pass."""


@given(seed=st.integers(0, 2**32), local=st.sampled_from(sorted(REPEATED)))
@settings(max_examples=15)
def test_calls_of_a_repeated_hour_stay_one(shared_url: str, tmp_path_factory: Any, seed: int, local: str) -> None:
    """By logs and tables with local times and by certain reports, in any order, any number of times."""
    generator = random.Random(seed)
    again = {"Australia/Lord_Howe": 1_800}.get(local, 3_600)
    first = REPEATED[local]
    calls = []
    for n in range(12):
        second = first + generator.randrange(600) + again * generator.randrange(2)
        calls.append(random_calls(generator, 1)[0] | {"number": f"+3247{n:07}", "date_ms": second * 1_000,
                                                      "presentation": "allowed"})  # fmt: skip
    calls.sort(key=lambda one: one["date_ms"])
    folder = tmp_path_factory.mktemp("files")
    log, table = folder / "log.json", folder / "table.csv"
    write_termux(log, calls, local)
    at = (log_row["date"] for log_row in json.loads(log.read_text("utf-8")))
    lines = [f"{one['type']},{one['number']},{when}\n" for one, when in zip(calls, at, strict=True)]
    table.write_text("kind,number,date\n" + "".join(lines), "utf-8")
    certain = [KINDS["adb"].said(one) for one in calls]
    steps: list[Path | list[dict[str, Any]]] = [log, table, certain, *generator.choices([log, table, certain], k=3)]
    generator.shuffle(steps)
    customer = make_customer(shared_url)
    in_thread(bring_in(shared_url, customer.id, steps, local))
    rows = on_database(
        shared_url,
        lambda c: c.fetch(
            "select number, at_ms, other_second from calls c join parties p on p.account_id = c.account_id"
            " and p.id = c.party_id where c.account_id = $1",
            customer.id,
        ),
    )
    assert sorted(tuple(row) for row in rows) == sorted((one["number"], one["date_ms"], None) for one in calls)


def test_every_format_can_be_named() -> None:
    assert {format.value for format in FileFormat} == {"auto", *SOURCES}


def test_a_source_by_its_content_and_by_its_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ringback.db"

    async def bring_all_in() -> None:
        database = await open_database(url)
        account = await database.write(lambda c: create_account(c, "shop"))
        options = Options(zone("UTC"), {})
        for name, kind in KINDS.items():
            calls = [one for one in random_calls(random.Random(7), 60) if one["type"] in kind.kinds]
            file = tmp_path / "file"
            kind.write(file, calls)
            format = {"xml": "sms_backup_restore", "zip": "sms_backup_restore"}.get(name, name)
            by_content = await import_file(database, account.id, file, options, device=name)
            by_name = await import_file(database, account.id, file, options, device=name, format=format)
            assert (by_content.format, by_content.created) == (format, len(calls))
            assert (by_name.format, by_name.duplicate) == (format, len(calls))
        await database.close()

    in_thread(bring_all_in())


def test_case_25_types(shell: Shell) -> None:
    result = imported(shell, CASES / "case-25-smsie-types.json")
    assert (result.returncode, counts(result)["created"]) == (0, 9)
    assert [len(listed(shell, kind)) for kind in ("incoming", "outgoing", "missed")] == [1, 1, 1]
    assert len(listed(shell, "missed", "--include", "rejected,blocked")) == 3
    assert counts(imported(shell, CASES / "case-25-smsie-types.json"))["duplicate"] == 9


def test_case_33_takeout(shell: Shell, tmp_path: Path) -> None:
    folder = CASES / "case-33-takeout"
    pages = sorted(folder.rglob("*.html"))
    packed = tmp_path / "takeout.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for page in pages:
            archive.write(page, page.relative_to(folder))
    assert counts(imported(shell, packed))["created"] == 2
    assert counts(imported(shell, folder))["duplicate"] == 2
    assert counts(imported(shell, *pages))["duplicate"] == 1
    [missed] = listed(shell, "missed")
    assert missed == {"number": "", "name": "", "date": "2025-03-09 06:30:00"}
    [outgoing] = listed(shell, "outgoing")
    assert (outgoing["phone_number"], outgoing["duration_sec"]) == ("+12025550133", 3_605)
    assert outgoing["call_date_ms"] == 1_741_505_400_250


def test_case_35_ios(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "CallHistory.storedata"
    sqlite3.connect(file).executescript((CASES / "case-35-ios.sql").read_text("utf-8"))
    assert counts(imported(shell, file))["created"] == 2
    [incoming] = listed(shell, "incoming")
    assert (incoming["phone_number"], incoming["call_date_ms"]) == ("+12025550101", 1_761_231_000_000)
    assert (incoming["duration_sec"], incoming["geo_location"]) == (61, None)
    [missed] = listed(shell, "missed")
    assert (missed["number"], missed["name"]) == ("+12025550102", "Sample Person")


def test_ios_file_with_its_wal_while_it_is_written(here: Shell, tmp_path: Path) -> None:
    file = tmp_path / "CallHistory.storedata"
    write_ios(file, [one_call()], journal="wal")
    writer = sqlite3.connect(file)
    more = "ZANSWERED, ZORIGINATED, ZDATE + 9, ZDURATION, ZADDRESS, null, null, null"
    writer.execute(f"insert into ZCALLRECORD select 2, {more} from ZCALLRECORD")
    writer.commit()
    before = file.read_bytes()
    result = imported(here, file)
    assert (result.returncode, result.stderr, counts(result)["created"]) == (0, "", 2)
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in tmp_path.glob("CallHistory.storedata*"):
        shutil.copy(path, copied / path.name)
    result = imported(here, copied / file.name, copied / f"{file.name}-wal")
    assert (result.returncode, result.stderr, counts(result)["duplicate"]) == (0, "", 2)
    (copied / f"{file.name}-wal").unlink()
    result = imported(here, copied / file.name)
    assert (result.returncode, counts(result)["duplicate"]) == (0, 1)
    assert "the newest calls may be missing" in result.stderr
    assert file.read_bytes() == before
    writer.close()


def test_termux_logs(here: Shell, tmp_path: Path) -> None:
    rows = [
        {"name": "UNKNOWN_CALLER", "phone_number": None, "type": "MISSED", "date": "٢٠٢٣-١٠-٢٩ ٠١:٣٠:٠٠",
         "duration": "٠٠:٠٠", "sim_id": None},
        {"name": "", "phone_number": "+1", "type": "MISSED", "date": "2023-10-29 02:30:00", "duration": "00:00"},
        {"name": "x", "phone_number": "+2", "type": "MISSED", "date": "2023-10-29 02:10:00", "duration": "1:00:01"},
        {"name": "x", "phone_number": "+3", "type": "UNKNOWN_TYPE", "date": "1970-01-01 01:00:00", "duration": "00:00"},
        {"name": "x", "phone_number": "+4", "type": "MISSED", "date": "yesterday", "duration": "00:00"},
        7,
    ]  # fmt: skip
    file = write(tmp_path, json.dumps(rows))
    result = run_with(here, file, "--time-zone", "Europe/Berlin")
    assert (counts(result)["created"], counts(result)["rejected"]) == (3, 3)
    found = {row["number"]: row["date"] for row in listed(here, "missed")}
    # 02:10 stands after 02:30: clocks went back between them, so both are known.
    assert found == {"": "2023-10-28 23:30:00", "+1": "2023-10-29 00:30:00", "+2": "2023-10-29 01:10:00"}
    error = write(tmp_path, '{\n  "error": "Please grant the following permission"\n}')
    assert "it holds an error of Termux:API" in imported(here, error).stderr


def run_with(shell: Shell, file: Path, *options: str) -> Any:
    return run("import", str(file), "--account", "shop", *options, RINGBACK_DATABASE_URL=shell.url)


def test_adb_outputs(here: Shell, tmp_path: Path) -> None:
    text = (
        "Row: 0 _id=4, oem=3, number=+4, date=1761231004000, name=Doe, Jane, x=1, duration=0, type=3\n"
        "Row: 1 _id=3, oem=x, number=+3, date=1761231003000, name=two\n"
        "Row: 9 lines, date=5, duration=0, type=3\n"
        "Row: 2 _id=2, oem=NULL, number=NULL, date=1761231002000, name=NULL, duration=0, type=3\n"
        "Row: 3 _id=1, oem=2, number=+1, date=-1234567, name=NULL, duration=0, type=3\n"
    )
    result = imported(here, write(tmp_path, text.encode("utf-16")))
    assert (counts(result)["created"], counts(result)["rejected"]) == (3, 1)
    assert [(row["number"], row["name"]) for row in listed(here, "missed")] == [
        ("+4", "Doe, Jane, x=1"), ("+3", "two\nRow: 9 lines, date=5"), ("", ""),
    ]  # fmt: skip
    result = imported(here, write(tmp_path, "No result found.\n"))
    assert (result.returncode, counts(result)["created"]) == (0, 0)
    cut = imported(here, write(tmp_path, text[:-20]))
    assert (cut.returncode, counts(cut)["duplicate"]) == (1, 3)
    assert "it ends early in row 4" in cut.stderr


def test_takeout_pages(here: Shell, tmp_path: Path) -> None:
    calls = [
        one_call(type=kind, date_ms=1_761_231_000_000 + n * 1_000) for n, kind in enumerate(("missed", "voicemail"))
    ]
    file = tmp_path / "takeout.zip"
    write_takeout(file, calls)
    with zipfile.ZipFile(file, "a") as archive:
        good = archive.read(archive.namelist()[-1]).decode()
        archive.writestr("Takeout/Voice/Calls/a - Text - x.html", '<html><div class="hChatLog hfeed">hi</div></html>')
        archive.writestr("Takeout/Voice/Calls/b.html", good.replace('rel="tag"', ""))
        archive.writestr("Takeout/Voice/Calls/c.html", good.replace("-04:00", ""))
        archive.writestr("Takeout/Voice/Calls/d.html", good.encode() + b"\xff")
        archive.writestr("Takeout/Voice/Calls/e.html", good.replace('title="2', 'title="3'))
        archive.writestr(
            "Takeout/Voice/Calls/f.html", good.replace("#voicemail", "#recorded").replace("14:50", "14:51")
        )
    result = imported(here, file)
    assert (counts(result)["created"], counts(result)["rejected"]) == (3, 4)
    [one] = here.json("imports", "--account", "shop")
    shown = here.json("imports", "show", one["id"], "--account", "shop")
    assert ["tag" in row["error"] for row in shown["rejected_rows"]] == [True, False, False, False]
    assert len(listed(here, "incoming")) == 1


@pytest.mark.parametrize(
    ("content", "created", "sentence"),
    [
        ("Call Type;Phone;When\nincoming;+1;2025-10-23 14:50:00\n", 0, "--column started_at=HEADER"),
        ("number|kind|date\n+1|missed|2025-10-23 14:50:00\n", 0, "no backup of calls"),
        ("type,number,date,date\nmissed,+1,x,y\n", 0, "several of its columns could be the started_at"),
        ("\ufefftype,number,date\nmissed,+1,2025-10-23 14:50:00", 1, ""),
        ("sep=;\nTYPE;Number;Date\n3;+1;2025-10-23T14:50:00+02:00\n", 1, ""),
        ("type\tnumber\tdate\tname\nmissed\t+1\t2025-10-23 14:50:00.250\t'two\n", 1, ""),
        ('type,number,date,name\r\nmissed,+1,1761231000000,"two\r\nlines"\r\n', 1, ""),
        ("type,number,date\rmissed,+1,2025/10/23 14:50:00\r", 1, ""),
        ('type,number,date,name\nmissed,+1,1761231000000,"cut', 0, "it ends early in row 2"),
        (f'type,number,date,name\nmissed,+1,1761231000000,x\nmissed,+2,1761231000000,"{"y" * 5_000_000}"\n', 1, "row"),
    ],
    ids=["no time", "delimiter", "twice", "bom", "hint", "tabs", "lines", "old mac", "quote", "megabytes"],
)  # fmt: skip
def test_tables(here: Shell, tmp_path: Path, content: str, created: int, sentence: str) -> None:
    result = imported(here, write(tmp_path, content, "table.csv"))
    assert sentence in result.stderr
    assert here.json("account", "show", "shop")[0]["calls"] == created


def test_cells_of_tables(here: Shell, tmp_path: Path) -> None:
    rows = [
        ("missed", "+1", "2025-10-23 14:50:00", "1:01"), ("INCOMING", "+2", "2025-10-23 14:50:00", "1:00:01"),
        ("2", "+3", "2025-10-23 14:50:00", "61"), ("placed", "'=4", "1761231000000", ""),
        ("in", "+5", "2025-10-23 14:50:00", ""), ("missed", "1.2E+10", "2025-10-23 14:50:00", ""),
        ("missed", "+6", "10/23/2025 2:50 PM", ""), ("missed", "+7", "2025-10-23 14:50", ""),
        ("missed", "+8", "1761231000", ""), ("missed", "+9", "2025-03-30 02:30:00", ""),
        ("missed", "+10", "2025-10-23 14:50:00", "1:99"), ("missed", "+11", "2025-02-30 14:50:00", ""),
    ]  # fmt: skip
    text = (
        "type,number,when,duration\n" + "".join(",".join(row) + "\n" for row in rows) + 'missed,+12\nmissed,a"b,"c"d,\n'
    )
    file = write(tmp_path, text, "table.csv")
    result = run_with(here, file, "--column", "started_at=when", "--time-zone", "Europe/Paris")
    assert (counts(result)["created"], counts(result)["rejected"]) == (4, 10)
    [missed], incoming, outgoing = (listed(here, kind) for kind in ("missed", "incoming", "outgoing"))
    assert missed["date"] == "2025-10-23 12:50:00"
    assert [row["duration_sec"] for row in incoming] == [3_601]
    assert sorted((row["phone_number"], row["duration_sec"]) for row in outgoing) == [("+3", 61), ("=4", 0)]
    [one] = here.json("imports", "--account", "shop")
    shown = here.json("imports", "show", one["id"], "--account", "shop")
    assert [row["place"] for row in shown["rejected_rows"]] == list(range(6, 16))
    for wrong in ("nothing=x", "number", "number="):
        assert run_with(here, file, "--column", wrong).returncode == 2
    assert "no column of the name" in run_with(here, file, "--column", "number=Nummer").stderr
    assert run_with(here, file, "--time-zone", "Europe/Nowhere").returncode == 2


def test_rows_say_whose_calls_they_are(shell: Shell, tmp_path: Path) -> None:
    file = write(
        tmp_path, "kind,number,date,device\nmissed,+1,1761231000000,desk\nmissed,+1,1761231000000,van\n", "t.csv"
    )
    assert counts(imported(shell, file))["created"] == 2
    assert {device["name"] for device in shell.json("device", "list", "--account", "shop")} == {"desk", "van"}
    assert counts(imported(shell, file))["duplicate"] == 2
    assert counts(imported(shell, file, device="van")) == {
        "created": 1, "updated": 0, "duplicate": 1, "withheld": 0, "rejected": 0,
    }  # fmt: skip


def test_archives_that_are_refused(here: Shell, tmp_path: Path) -> None:
    def packed(name: str, content: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return tmp_path / "x.zip"

    assert "without a call log" in imported(here, packed("readme.txt", b"hello")).stderr
    assert "more than a hundred times" in imported(here, packed("calls.xml", b"<calls>" + b" " * 150_000_000)).stderr
    content = packed("calls.xml", b"<calls></calls>").read_bytes()
    locked = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + place] |= 1
    assert "with a password" in imported(here, write(tmp_path, bytes(locked), "x.zip")).stderr
    assert "damaged or ends early" in imported(here, write(tmp_path, content[:-30], "x.zip")).stderr
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("calls.csv", "kind,number,date\nmissed,+1,1761231000000\n")
        archive.writestr("broken.xml", "<calls></calls>")
    broken = (tmp_path / "two.zip").read_bytes().replace(b"<calls></calls>", b"<calls></callx>")
    result = imported(here, write(tmp_path, broken, "two.zip"))
    assert (result.returncode, counts(result)["created"]) == (1, 1)
    assert "broken.xml in it: it is damaged" in result.stderr
    for damage in range(30, len(content) - 60, 3):
        broken = bytearray(content)
        broken[damage] ^= 0xFF
        result = imported(here, write(tmp_path, bytes(broken), "x.zip")) if damage % 4 == 0 else None
        assert result is None or ("Traceback" not in result.stderr and result.stderr.count("\n") <= 1)


@pytest.mark.parametrize("how", ["no sqlite", "damaged", "no table", "column", "a view", "wal alone"])
def test_ios_files_that_are_refused(here: Shell, tmp_path: Path, how: str) -> None:
    file = tmp_path / "CallHistory.storedata"
    write_ios(file, [one_call(date_ms=1_761_231_000_000 + n * 1_000) for n in range(400)])
    content, sentence = file.read_bytes(), "it is a damaged database"
    match how:
        case "no sqlite":
            content, sentence = b"SQLite format 3\0", "it is no database of an iPhone's calls"
        case "damaged":
            content = content[:8_200] + b"\xff" * 3_000 + content[11_200:]
        case "wal alone":
            content, sentence = b"\x37\x7f\x06\x82" + bytes(100), "it is the -wal of a database"
        case _:
            database = sqlite3.connect(file)
            database.executescript({
                "no table": "drop table ZCALLRECORD",
                "column": "alter table ZCALLRECORD drop column ZANSWERED",
                "a view": "alter table ZCALLRECORD rename to x; create view ZCALLRECORD as select * from x",
            }[how])  # fmt: skip
            database.close()
            content, sentence = file.read_bytes(), "ZANSWERED" if how == "column" else "it has no table ZCALLRECORD"
    result = imported(here, write(tmp_path, content, file.name))
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_ios_row_whose_text_is_no_utf8(here: Shell, tmp_path: Path) -> None:
    file = tmp_path / "CallHistory.storedata"
    write_ios(file, [one_call(cached_name="Anna"), one_call(date_ms=1_761_231_001_000)])
    file.write_bytes(file.read_bytes().replace(b"Anna", b"An\x9aa"))
    result = imported(here, file)
    assert (result.returncode, counts(result)["created"], counts(result)["rejected"]) == (1, 1, 1)


def test_a_folder_of_files_keeps_what_is_good(here: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_adb(folder / "a.txt", [one_call()])
    write_csv(folder / "b.csv", [one_call(), one_call(date_ms=1_761_231_001_000)])
    (folder / "c.xml").write_bytes(b"<calls><call number='1' date='1761231000000' type='3'/>" + b"\xff" + b"</calls>")
    (folder / "notes.txt").write_text("nothing")
    result = imported(here, folder)
    assert (result.returncode, counts(result)["created"], counts(result)["updated"]) == (1, 2, 0)
    assert "c.xml in it: it has bytes that are no UTF-8" in result.stderr
    assert "passed over in it, as no backup of calls: files, 1" in result.stderr


def test_json_lines(here: Shell, tmp_path: Path) -> None:
    lines = [
        '{"kind": "missed", "number": "+1", "started_at": "2025-10-23T14:50:00.000Z", "name": null}',
        '{"kind": "missed", "number": "+2", "started_at_ms": 1761231000000, "device": 7}',
        "{broken}", "[]", "",
        '{"kind": "missed", "number": "+3", "started_at_ms": 1e400}',
        '{"kind": "missed", "number": "+4", "started_at_ms": 1761231000000, "name": "half \\ud83d"}',
        '{"kind": "missed", "number": "+5", "started_at_ms": 1761231000000}',
        '{"kind": "missed", "number": "+6", "started_at_ms": 17612310',
    ]  # fmt: skip
    result = imported(here, write(tmp_path, "\n".join(lines), "calls.jsonl"))
    assert (counts(result)["created"], counts(result)["rejected"]) == (2, 5)
    assert "it ends early in line 9" in result.stderr


def test_equal_rows_by_the_sources_own_number(here: Shell, tmp_path: Path) -> None:
    """Newest first in the file: which of two equal rows is the older one, their own number says."""
    rows = [
        {"_id": str(n), "number": "+1", "date": "1761231000000", "duration": str(n), "type": "3"} for n in (9, 10, 2)
    ]
    for order in itertools.permutations(rows):
        imported(here, write(tmp_path, json.dumps(order)))
    stored = on_database(here.url, lambda c: c.fetch("select occurrence, duration_s from calls order by occurrence"))
    assert [tuple(row) for row in stored] == [(0, 2), (1, 9), (2, 10)]
    assert Counter(one["state"] for one in here.json("imports", "--account", "shop")) == {"done": 6}


def test_mutated_files() -> None:
    """The short form; `make fuzz` reads 10,000."""
    script = Path(__file__).with_name("fuzz_files.py")
    variables = environment(PYTHONPATH=str(script.parent))
    result = subprocess.run((sys.executable, str(script), "300"), env=variables, capture_output=True, timeout=200)
    assert result.returncode == 0, result.stderr.decode()[-3_000:]
    assert int(result.stdout.split()[-1]) < 150_000
