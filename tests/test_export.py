"""Calls go out, and what goes out comes in again as the same calls."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ringback.calls.contract import EXPORTED
from ringback.devices import create_device
from service import RINGBACK, Shell, call, environment, on_database, run
from source_files import write_jsonl
from test_import import counts, imported, listed, write
from test_sources import random_calls
from test_undecided import FIRST, SECOND

FORMULAS = [
    start + rest
    for start in ("=", "+", "-", "@", "\t=", "\r=", "'=", "''+", "'-", "'@")
    for rest in ("1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x")', "SUM(A1:A9)", "x", "2")
]


@pytest.fixture
def shell(database_url: str) -> Shell:
    shell = Shell(database_url)
    for name in ("shop", "copy"):
        shell.ok("account", "create", name)
    return shell


def exported(shell: Shell, format: str, *options: str, account: str = "shop") -> str:
    command = (*RINGBACK, "export", "--account", account, "--format", format, *options)
    result = subprocess.run(command, env=environment(RINGBACK_DATABASE_URL=shell.url), capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def store(shell: Shell, calls: list[Any], device: str = "desk") -> None:
    """Calls through sync's own store, on a device of the first account."""
    from ringback.accounts import find_account
    from ringback.calls.contract import parse_report
    from ringback.calls.store import take_in
    from ringback.times import now_ms

    async def run_it(connection: Any) -> None:
        account = await find_account(connection, "shop")
        made = await create_device(connection, account.id, device)
        reports = [parse_report(one, now_ms()) for one in calls]
        results = await take_in(connection, account.id, made.number, reports, now_ms())
        assert {result.status for result in results} == {"created"}

    on_database(shell.url, run_it)


def facts(text: str) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda row: json.dumps(row, sort_keys=True))


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_all_comes_in_again(shell: Shell, tmp_path: Path, format: str) -> None:
    calls = random_calls(random.Random(3), 400)
    store(shell, [one | {"source": random.Random(n).choice(["provider", "ios", "odd", None]), "occurrence": 0,
                         "type_raw": "10"} for n, one in enumerate(calls[:300])][::3])  # fmt: skip
    repeated = call(date_ms=FIRST, date_other_ms=SECOND, precision="s", source="termux")
    store(shell, [call(), call(occurrence=1), repeated, repeated | {"occurrence": 1}], 'van "2"; =1')
    text = exported(shell, format)
    file = write(tmp_path, text, "calls")
    assert counts(imported(shell, file))["duplicate"] == 104
    result = run("import", str(file), "--account", "copy", RINGBACK_DATABASE_URL=shell.url)
    assert (result.returncode, result.stderr, counts(result)["created"]) == (0, "", 104)
    assert facts(exported(shell, "jsonl", account="copy")) == facts(exported(shell, "jsonl"))
    names = {device["name"] for device in shell.json("device", "list", "--account", "copy")}
    assert names == {"desk", 'van "2"; =1'}
    assert len(text.splitlines()) == 104 + (format == "csv")


def test_case_29_names_with_delimiters(shell: Shell, tmp_path: Path) -> None:
    names = ["Doe, Jane", "semi; colon", 'says "hi"', "two\nlines"]
    store(shell, [call(f"+{n}", type="outgoing", cached_name=name) for n, name in enumerate(names)])
    text = exported(shell, "csv")
    assert [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))] == names
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(csv.reader(io.StringIO(text, newline="")))
    for content in (text, "\ufeff" + text, out.getvalue(), "\ufeff" + out.getvalue()):
        assert counts(imported(shell, write(tmp_path, content)))["duplicate"] == 4
    assert {row["cached_name"] for row in listed(shell, "outgoing")} == set(names)


def test_no_formula_comes_out(tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path}/ringback.db")
    shell.ok("account", "create", "shop")
    numbers = [f"+3247{n:07}" for n in range(9_000)] + [f"00{n:08}" for n in range(1_000)]
    store(shell, [call(number, cached_name=name) for number, name in zip(numbers, FORMULAS, strict=False)])
    store(shell, [call(number, date_ms=1_761_231_009_000, cached_name=None) for number in numbers], "van")
    odd = [call(text, date_ms=1_761_232_000_000 + n * 1_000, cached_name=None) for n, text in enumerate(FORMULAS)]
    store(shell, odd, "odd")
    rows = list(csv.DictReader(io.StringIO(exported(shell, "csv"), newline="")))
    found = {row["name"] for row in rows if row["name"]}
    assert len(FORMULAS) == 60
    assert found == {"'" + name for name in FORMULAS}
    assert [row["number"] for row in rows if row["device"] == "van"] == numbers
    file = tmp_path / "calls.xlsx"
    shell.ok("export", "--account", "shop", "--format", "xlsx", "-o", str(file))
    [sheet] = openpyxl.load_workbook(file, read_only=True)
    header, *cells = sheet.iter_rows()
    assert [cell.value for cell in header] == list(EXPORTED)
    place = {name: n for n, name in enumerate(EXPORTED)}
    assert {cell.data_type for row in cells for cell in row} <= {"s", "n"}
    kept = [row[place["name"]].value for row in cells if row[place["name"]].value]
    assert {name.replace("_x000D_", "\r") for name in kept} == set(FORMULAS)
    assert [row[place["number"]].value for row in cells if row[place["device"]].value == "van"] == numbers
    csv_file = write(tmp_path, exported(shell, "csv"), "calls.csv")
    assert counts(imported(shell, csv_file))["duplicate"] == len(rows)


def test_one_list_or_all(shell: Shell) -> None:
    kinds = ("missed", "incoming", "outgoing", "rejected", "unknown")
    store(shell, [call(f"+{n}", type=kind, date_ms=1_761_231_000_000 - n * 1_000) for n, kind in enumerate(kinds)])
    assert [json.loads(line)["kind"] for line in exported(shell, "jsonl").splitlines()] == list(kinds[::-1])
    for kind in kinds[:3]:
        assert [one["kind"] for one in facts(exported(shell, "jsonl", "--kind", kind))] == [kind]
    assert exported(shell, "csv", account="copy") == ",".join(EXPORTED) + "\r\n"
    assert exported(shell, "jsonl", account="copy") == ""
    shell.refused(2, "export", "--account", "shop", "--format", "csv", "--kind", "rejected")
    shell.refused(1, "export", "--account", "nobody", "--format", "csv")


def test_where_an_export_goes(shell: Shell, tmp_path: Path) -> None:
    calls = tmp_path / "calls.jsonl"
    write_jsonl(calls, random_calls(random.Random(1), 300))
    imported(shell, calls)
    target = tmp_path / "out.csv"
    shell.ok("export", "--account", "shop", "--format", "csv", "-o", str(target))
    assert target.read_bytes().decode() == exported(shell, "csv")
    assert list(tmp_path.glob("*.unfinished")) == []
    error = shell.refused(1, "export", "--account", "shop", "--format", "csv", "-o", str(tmp_path / "no" / "out.csv"))
    assert "The export can't be written" in error
    command = (*RINGBACK, "export", "--account", "shop", "--format", "csv", "-o", "/dev/full")
    full = subprocess.run(command, env=environment(RINGBACK_DATABASE_URL=shell.url), capture_output=True, timeout=60)
    assert (full.returncode, b"Traceback" in full.stderr) == (1, False)
