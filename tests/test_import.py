"""Backup files come in: what is read, what is refused, what becomes of the calls."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_files import backup, call_element, from_file
from model import expected_calls, identity, random_reports
from ringback.calls.contract import parse_report
from ringback.calls.store import take_in
from ringback.db import open_database
from ringback.devices import create_device
from ringback.imports import import_file
from ringback.sources.reading import Options
from ringback.times import now_ms, zone
from service import RINGBACK, Shell, call, environment, in_thread, make_customer, on_database, run
from test_merge import stored_calls

CASES = Path(__file__).parent / "cases"


def imported(shell: Shell, *files: Path | str, **options: str) -> subprocess.CompletedProcess[str]:
    named = [word for name, value in options.items() for word in (f"--{name}", value)]
    return run("import", *map(str, files), "--account", "shop", *named, RINGBACK_DATABASE_URL=shell.url)


def counts(result: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The counts of the last line on stdout."""
    words = result.stdout.splitlines()[-1].rpartition(": ")[2].split(", ")
    return {word.split()[1]: int(word.split()[0]) for word in words}


def listed(shell: Shell, kind: str, *options: str) -> list[dict[str, Any]]:
    answer = json.loads(shell.ok("list", kind, "--account", "shop", *options, "--format", "json"))
    return list(answer["data" if kind == "missed" else "rows"])


def write(folder: Path, text: str | bytes, name: str = "calls.xml") -> Path:
    file = folder / name
    file.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return file


def test_case_1_utf16(shell: Shell) -> None:
    result = imported(shell, CASES / "case-01-smsbr-utf16.xml")
    assert (result.returncode, result.stderr) == (0, "")
    assert [(row["phone_number"], row["cached_name"]) for row in listed(shell, "incoming")] == [
        ("+12025550101", "Zoë Sample")
    ]
    assert [row["number"] for row in listed(shell, "missed")] == ["+12025550102"]


def test_case_23_units(shell: Shell) -> None:
    result = imported(shell, CASES / "case-23-smsbr-units.xml")
    assert result.returncode == 1
    assert counts(result) == {"created": 2, "updated": 0, "duplicate": 0, "withheld": 0, "rejected": 2}
    assert [row["cached_name"] for row in listed(shell, "incoming")] == ["Milliseconds again", "Milliseconds"]
    kept = shell.json("device", "rejected", "--account", "shop")
    assert [(one["place"], one["report"]["contact_name"]) for one in kept] == [(2, "Seconds"), (3, "Microseconds")]
    assert "before 1990" in kept[0]["error"]
    assert "24 hours ahead" in kept[1]["error"]
    again = imported(shell, CASES / "case-23-smsbr-units.xml")
    assert (again.returncode, counts(again)["duplicate"], counts(again)["rejected"]) == (1, 2, 2)
    assert len(shell.json("device", "rejected", "--account", "shop", "--name", "import")) == 2


def test_all_quirks_of_its_files(shell: Shell, tmp_path: Path) -> None:
    at = iter(range(1_761_231_000_000, 1_761_232_000_000, 1_000))
    rows = [
        f'<call number="+1" date="{next(at)}" type="3" contact_name="Emoji &#55357;&#56832; &#xD83D;&#xDE00;" />',
        f'<call number="null" duration="null" date="{next(at)}" type="3" contact_name="null" subscription_id="null" />',
        f'<call number="-1" date="{next(at)}" type="3" contact_name="(Unknown)" />',
        f'<call number="-2" date="{next(at)}" type="3" presentation="1" />',
        f'<call number="-3" date="{next(at)}" type="3" />',
        f'<call number="" date="{next(at)}" type="3" presentation="5" />',
        f'<call date="{next(at)}" type="3" />',
        f'<call number="&quot;*31#&quot; &lt;&amp;&gt; &#10;" date="{next(at)}" type="3" unknown="x"></call>',
        f'<call number="+2" date="{next(at)}" type="10" contact_name="raw" />',
        f'<call number="+3" date="{next(at)}" type="null" />',
        f'<nested><call number="+4" date="{next(at)}" type="2" duration="61" subscription_id="8932F" /></nested>',
        '<call number="+5" type="3" />',
        f'<call number="+6" date="{next(at)}" type="3" duration="1.5" />',
        f'<call number="+7" date="{next(at)}" type="3" contact_name="half &#55357; emoji" />',
        f'<call number="+8" date="{next(at)}" type="3" contact_name="nul &#0; byte" />',
        f'<call number="+9" date="{next(at)}" type="3" contact_name="bell &#7; \x08 \ufdd0 &#xFDD0;" />',
        "<!-- a comment -->",
    ]
    result = imported(shell, write(tmp_path, backup(rows, root="smses")))
    assert counts(result)["created"] == 12
    assert counts(result)["rejected"] == 4
    missed = [(row["number"], row["name"]) for row in listed(shell, "missed")][::-1]
    assert missed == [
        ("+1", "Emoji 😀 😀"), ("", ""), ("", ""), ("", ""), ("", ""), ("", ""), ("", ""),
        ('"*31#" <&>', ""), ("+9", "bell \x07 \x08 \ufdd0 \ufdd0"),
    ]  # fmt: skip
    [outgoing] = listed(shell, "outgoing")
    assert (outgoing["phone_number"], outgoing["duration_sec"]) == ("+4", 61)
    stored = on_database(shell.url, lambda c: stored_calls(c, 1))
    by_second = {one.second - 1_761_231_000: facts for one, facts in stored.items()}
    assert [by_second[place]["presentation"] for place in range(1, 6)] == [
        None, "unknown", "restricted", "payphone", "unavailable",
    ]  # fmt: skip
    assert (by_second[8]["type"], by_second[8]["type_raw"]) == ("unknown", "10")
    assert (by_second[9]["type"], by_second[9]["type_raw"]) == ("unknown", None)
    assert (by_second[10]["sim_id"], by_second[10]["source"]) == ("8932F", "sms_backup_restore")
    rejected = shell.json("device", "rejected", "--account", "shop")
    assert [one["place"] for one in rejected] == [12, 13, 14, 15]
    assert rejected[2]["report"]["contact_name"] == "half \ud83d emoji"
    assert "half" in shell.ok("device", "rejected", "--account", "shop")
    assert "nul" in shell.ok("device", "rejected", "--account", "shop", "--format", "csv")


def test_equal_rows_of_one_file_are_two_calls(shell: Shell, tmp_path: Path) -> None:
    rows = [
        call_element(call(cached_name="b", date_ms=1_761_231_000_900)),
        call_element(call(cached_name="a", date_ms=1_761_231_000_100)),
        call_element(call(cached_name="c", date_ms=1_761_231_000_900)),
    ]
    file = write(tmp_path, backup(rows))
    assert counts(imported(shell, file))["created"] == 3
    assert counts(imported(shell, file, file))["duplicate"] == 3
    second = write(tmp_path, backup(rows[1:]), "second.xml")
    assert counts(imported(shell, second)) == {
        "created": 0, "updated": 1, "duplicate": 1, "withheld": 0, "rejected": 0,
    }  # fmt: skip
    assert [row["name"] for row in listed(shell, "missed")] == ["c", "c", "a"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "nothing was taken: it is empty"),
        (b" \n\n", "nothing was taken: it is empty"),
        (b"some text\n1 2\n", "nothing was taken: it is no backup of calls that Ringback knows"),
        (b"number,date\n1,2\n", "nothing was taken: no name in its first row tells which column is the kind"),
        (bytes(range(256)) * 100, "nothing was taken: it has bytes that are no UTF-8"),
        (b"\xff\xfe<\x00\x00\xd8a\x00", "nothing was taken: it has bytes that are no UTF-16"),
        (b"<svg><path/></svg>", "nothing was taken: it is XML, but no backup of calls"),
        (b"< no XML", "nothing was taken: it is no XML that can be read"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><calls>'
            b'<call number="&b;" date="1761231000000" type="3" /></calls>',
            "nothing was taken: it has a DOCTYPE",
        ),
        (
            backup([call_element(call())]).encode() + b"\xff",
            "nothing was taken: it has bytes that are no UTF-8",
        ),
    ],
    ids=["empty", "blank", "text", "table", "binary", "utf16", "svg", "no xml", "doctype", "bytes at the end"],
)
def test_files_that_are_refused_whole(here: Shell, tmp_path: Path, content: bytes, sentence: str) -> None:
    result = imported(here, write(tmp_path, content))
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert here.json("account", "show", "shop")[0]["calls"] == 0


@pytest.mark.parametrize("cut", ["in a row", "in a character", "after a row", "broken in the middle", "entity"])
def test_damaged_files_keep_their_whole_rows(here: Shell, tmp_path: Path, cut: str) -> None:
    rows = [call_element(call(f"+{n}", cached_name="Zoë", date_ms=1_761_231_000_000 + 1_000 * n)) for n in range(9)]
    text = backup(rows).encode()
    content = {
        "in a row": text[: text.rindex(b"<call") + 20],
        "in a character": text[: text.rindex("ë".encode()) + 1],
        "after a row": text[: text.rindex(b"<call")],
        "broken in the middle": text.replace(b'<call number="+8"', b'<call number=+8"'),
        "entity": text.replace(b'number="+8"', b'number="&nothing;"'),
    }[cut]
    result = imported(here, write(tmp_path, content))
    assert result.returncode == 1
    assert counts(result)["created"] == 8
    assert "the calls before that are kept" in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_is_no_file(here: Shell, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = imported(here, tmp_path / "folder")
    assert "nothing was taken: it is a folder without a call log" in result.stderr
    for path in (tmp_path / "missing.xml", Path("/dev/null/x")):
        result = imported(here, path)
        assert result.returncode == 1
        assert "nothing was taken: it can't be read" in result.stderr
        assert result.stderr.count("\n") == 1
    good = write(tmp_path, backup([call_element(call())]))
    result = imported(here, tmp_path / "missing.xml", good)
    assert (result.returncode, counts(result)["created"]) == (1, 1)
    assert run("import", "--account", "shop", RINGBACK_DATABASE_URL=here.url).returncode == 2
    assert imported(here, good, format="xls").returncode == 2
    result = run("import", str(good), "--account", "nobody", RINGBACK_DATABASE_URL=here.url)
    assert result.returncode == 1
    assert "no account of that name" in result.stderr


def test_a_row_without_end(here: Shell, tmp_path: Path) -> None:
    content = backup([call_element(call())]).encode().replace(b"</calls>", b'<call number="' + b"1" * 9_000_000)
    result = imported(here, write(tmp_path, content))
    assert (result.returncode, counts(result)["created"]) == (1, 1)
    assert "a row in it is too long" in result.stderr


def test_whose_calls_they_are(shell: Shell, tmp_path: Path) -> None:
    file = write(tmp_path, backup([call_element(call())]))
    imported(shell, file)
    assert [device["name"] for device in shell.json("device", "list", "--account", "shop")] == ["import"]
    assert counts(imported(shell, file))["duplicate"] == 1
    assert counts(imported(shell, file, device="van"))["created"] == 1
    result = imported(shell, file)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--device" in result.stderr
    shell.ok("device", "revoke", "--account", "shop", "--name", "import")
    assert counts(imported(shell, file))["duplicate"] == 1
    assert imported(shell, file, device="x" * 101).returncode == 2


def test_dry_run_writes_nothing(here: Shell, tmp_path: Path) -> None:
    rows = [call_element(call(f"+{n}", date_ms=1_761_231_000_000 + 1_000 * n)) for n in range(15)]
    file = write(tmp_path, backup([*rows, '<call number="x" />']))
    result = run("import", str(file), "--account", "shop", "--dry-run", RINGBACK_DATABASE_URL=here.url)
    assert result.returncode == 1
    first, *rest = result.stdout.splitlines()
    assert first == f"{file}: 15 readable, 1 rejected; nothing was stored"
    assert len([line for line in rest if "2025-10-23" in line]) == 10
    assert "row 16: date_ms is missing" in result.stdout
    [shown] = here.json("account", "show", "shop")
    assert (shown["calls"], shown["devices"], shown["rejected"]) == (0, 0, 0)


def test_only_the_first_rejected_rows_are_kept_and_all_counted(here: Shell, tmp_path: Path) -> None:
    result = imported(here, write(tmp_path, backup(f'<call number="{n}" />' for n in range(1_500))))
    assert (result.returncode, counts(result)["rejected"]) == (1, 1_500)
    kept = here.json("device", "rejected", "--account", "shop")
    assert [one["place"] for one in kept] == list(range(1, 1_001))


def numbered(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one read with their occurrence: equal rows by their moment, then in the order of the file."""
    seen: Counter[Any] = Counter()
    by_place: dict[int, dict[str, Any]] = {}
    for place, report in sorted(enumerate(reports), key=lambda item: (item[1]["date_ms"], item[0])):
        one = identity(report | {"occurrence": 0})
        by_place[place] = report | {"occurrence": seen[one]}
        seen[one] += 1
    return [by_place[place] for place in range(len(reports))]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, fresh: Any) -> str:
    return str(fresh(request.param))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12)
def test_import_and_sync_in_any_order(shared_url: str, tmp_path_factory: Any, seed: int) -> None:
    """The same 500 rows by file and by sync, in any order, any number of times, split in any way."""
    generator = random.Random(seed)
    log = [{k: v for k, v in r.items() if k != "occurrence"} for r in random_reports(generator, 470)]
    log += generator.sample(log, 30)  # rows that are equal in all they say
    rows = numbered([report | {"precision": "ms", "source": "provider"} for report in log])
    file = tmp_path_factory.mktemp("files") / "calls.xml"
    file.write_text(backup(call_element(report) for report in log), "utf-8")
    customer = make_customer(shared_url)
    steps: list[list[dict[str, Any]] | None] = [None] * generator.randrange(1, 4)
    for _ in range(generator.randrange(1, 3)):
        shuffled = generator.sample(rows, len(rows))
        pieces = generator.randrange(1, 8)
        steps += [shuffled[piece::pieces] for piece in range(pieces)]
    generator.shuffle(steps)

    async def send() -> Any:
        database = await open_database(shared_url)
        try:
            for step in steps:
                if step is None:
                    await import_file(database, customer.id, file, Options(zone("UTC"), {}))
                else:
                    reports = [parse_report(report, now_ms()) for report in step]
                    await database.write(lambda c, r=reports: take_in(c, customer.id, 1, r, now_ms()))  # type: ignore[misc]
            return await database.read(lambda c: stored_calls(c, customer.id))
        finally:
            await database.close()

    expected = expected_calls([from_file(row) for row in rows] + rows)
    assert len(expected) == 500
    assert in_thread(send()) == expected


def test_interrupted_and_killed_imports_leave_whole_batches(shell: Shell, tmp_path: Path) -> None:
    rows = (call_element(call(f"+1{n:05}", date_ms=1_600_000_000_000 + 1_000 * n)) for n in range(30_000))
    file = write(tmp_path, backup(rows))
    on_database(shell.url, lambda c: create_device(c, 1, "import"))
    command = (*RINGBACK, "import", str(file), "--account", "shop")
    for interruption, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        process = subprocess.Popen(
            command, env=environment(RINGBACK_DATABASE_URL=shell.url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        before = stored_count(shell)
        while stored_count(shell) == before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(interruption)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == code, errors
        if interruption == signal.SIGINT:
            assert f" {stored_count(shell)} created" in output.decode()
        assert b"Traceback" not in errors
        stored = stored_count(shell)
        assert stored % 2_000 == 0
        assert 0 < stored < 30_000
    result = imported(shell, file)
    assert result.returncode == 0
    assert stored_count(shell) == 30_000
    assert counts(result)["created"] + counts(result)["duplicate"] == 30_000
    assert counts(imported(shell, file))["duplicate"] == 30_000


def stored_count(shell: Shell) -> int:
    rows = on_database(shell.url, lambda c: c.fetch("select count(*) from calls"))
    return int(rows[0][0])
