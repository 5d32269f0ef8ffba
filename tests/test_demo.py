"""`ringback demo`, and the lists on the command line."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from pathlib import Path

import httpx2 as httpx

from service import RINGBACK, Shell, environment, free_port, run


def test_demo_prints_three_lines_that_answer_with_calls(tmp_path: Path) -> None:
    environ = environment(RINGBACK_DATA_DIR=str(tmp_path))
    keys = []
    for _ in range(2):
        started = time.monotonic()
        command = (*RINGBACK, "demo", "--port", str(free_port()))
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(6)]
            assert time.monotonic() - started < 100
            try:
                page = httpx.get(lines[1].strip(), follow_redirects=True, headers={"Accept": "text/html"})
                assert "demo@example.org" in page.text or "demo" in page.text
                assert page.url.path == "/"
                for line in lines[3:]:
                    answer = json.loads(subprocess.run(line, shell=True, check=True, capture_output=True).stdout)
                    assert answer["count"] > 0
            finally:
                process.terminate()
                process.wait(30)
        keys.append(lines[2].split("Its key is ")[1].split(".")[0])
    assert keys[0] != keys[1]
    shell = Shell(f"sqlite:///{tmp_path}/demo.db")
    [account] = shell.json("account", "show", "demo")
    assert 1_500 < account["calls"] < 3_500  # the second start doubled nothing
    assert account["rejected"] == 0
    assert [device["name"] for device in shell.json("device", "list", "--account", "demo")] == [
        "Old phone", "Front desk", "Van",
    ]  # fmt: skip
    statuses = {one["name"]: one["status"] for one in shell.json("device", "list", "--account", "demo")}
    assert statuses == {"Front desk": "online", "Van": "silent", "Old phone": "never"}
    assert shell.json("device", "list", "--account", "demo")[1]["synced_through"]
    hidden = json.loads(shell.ok("list", "missed", "--account", "demo", "--limit", "500", "--format", "json"))
    assert "" in {row["number"] for row in hidden["data"]}

    missed = list(csv.DictReader(io.StringIO(shell.ok("list", "missed", "--account", "demo", "--format", "csv"))))
    assert list(missed[0]) == ["number", "name", "date"]
    assert len(missed) == 100
    table = shell.ok("list", "outgoing", "--account", "demo", "--limit", "3", "--q", "nguyen")
    assert table.count("Nguyễn Thị Hồng") == 3
    answer = json.loads(
        shell.ok(
            "list", "incoming", "--account", "demo", "--sort-by", "duration_sec", "--limit", "2", "--format", "json"
        )
    )
    assert (answer["apikey"], answer["limit"], answer["sort_by"], answer["count"]) == (None, 2, "duration_sec", 2)


def test_lists_refuse_what_the_api_refuses(tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path}/ringback.db")
    shell.ok("account", "create", "shop", "--until", "2020-01-01")
    assert "limit must be" in shell.refused(2, "list", "missed", "--account", "shop", "--limit", "abc")
    assert "date_start must be" in shell.refused(2, "list", "missed", "--account", "shop", "--date-start", "2026-02-30")
    assert "sort_by must be" in shell.refused(2, "list", "incoming", "--account", "shop", "--sort-by", "password")
    assert shell.refused(2, "list", "missed", "--account", "shop", "--q", "x")
    assert "no account" in shell.refused(1, "list", "missed", "--account", "nobody")
    assert json.loads(shell.ok("list", "missed", "--account", "shop", "--format", "json"))["count"] == 0


def test_version_of_python_and_help() -> None:
    for command in ([], ["account"], ["key"], ["device"], ["list"], ["import"], ["serve"], ["demo"]):
        assert run(*command, "--help").returncode == 0
