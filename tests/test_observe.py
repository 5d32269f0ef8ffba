"""What an operator sees: a line for each request, and counts; nothing secret in either."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ringback.logs import ForeignFormatter
from ringback.web.app import METHODS
from ringback.web.observe import METHODS as WORDS
from service import Service, bearer, call
from test_workers import counted


@pytest.fixture
def observed(database_url: str, tmp_path: Path) -> Iterator[tuple[Service, Path]]:
    log = tmp_path / "log"
    with log.open("wb") as out:
        service = Service(database_url, log=out)
        yield service, log
        service.stop()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines(True) if line[0] == "{" and line[-1] == "\n"]


def line_of(log: Path, answer: httpx.Response) -> dict[str, Any]:
    """The line of an answer, which is written just after it was sent."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in lines(log):
            if line["request_id"] == answer.headers["X-Request-ID"]:
                return line
        time.sleep(0.05)
    raise AssertionError("the log has no line of the answer")


def test_each_answer_has_its_line(observed: tuple[Service, Path]) -> None:
    service, log = observed
    customer = service.customer()
    answers = {
        "/v1/sync/calls": service.sync(customer.token, {"calls": [call()]}),
        "/call/missed/list": service.http.get(f"/call/missed/list/?apikey={customer.key}"),
        "/v1/calls/{call_id}": service.http.get("/v1/calls/c1-99999", headers=bearer(customer.key)),
        "/setup/{secret}": service.http.get("/setup/a-one-time-link"),
        "unknown": service.http.request("BREW", "/coffee/+12025550100"),
    }
    for path, answer in answers.items():
        line = line_of(log, answer)
        assert (line["event"], line["path"], line["status"]) == ("request", path, answer.status_code)
        assert line["ms"] >= 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert line_of(log, answers["/call/missed/list"])["account"] == customer.id
    text = "".join(line for line in log.read_text().splitlines() if line.startswith("{"))
    for secret in (customer.key, customer.token, "2025550100", "one-time", "c1-99999", "coffee"):
        assert secret not in text


def test_what_machines_ask_all_the_time_is_not_logged(observed: tuple[Service, Path]) -> None:
    service, log = observed
    for path in ("/healthz", "/readyz", "/metrics"):
        assert service.http.get(path).status_code == 200
    assert lines(log) == []


def test_a_log_without_requests(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        service = Service(f"sqlite:///{tmp_path}/ringback.db", log=out, variables={"RINGBACK_LOG_REQUESTS": "0"})
        service.http.get("/nothing")
        assert counted(service)["GET", "unknown", 404] == 1
        service.stop()
    assert lines(log) == []


def test_counts(observed: tuple[Service, Path]) -> None:
    service, _ = observed
    customer = service.customer()
    service.send(customer.token, call(), call(), {"type": "missed"})
    for number in range(30):
        service.http.get(f"/nothing/{number}")
        service.http.request(f"M{number}", "/v1/calls", headers=bearer(customer.key))
    answer = service.http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for status in ("created", "duplicate", "rejected"):
        assert f'ringback_reports_total{{status="{status}"}} 1.0' in answer.text
    total = counted(service)
    assert total["GET", "unknown", 404] == 30
    assert sum(n for (method, _, _), n in total.items() if method == "other") == 30
    assert {method for method, _, _ in total} <= {*WORDS, "other"}
    assert {path for _, path, _ in total} <= {*METHODS, "unknown"}
    assert 'ringback_request_seconds_count{path="unknown"}' in answer.text


def test_what_libraries_log_is_masked() -> None:
    import logging

    try:
        raise ValueError("Key (number)=(+12025550100) already exists")
    except ValueError as error:
        record = logging.LogRecord(
            "library", logging.ERROR, "", 0, "call of %s with rbk_1_abc and rbd_1_def", ("+1 (202) 555-0100",),
            (ValueError, error, error.__traceback__),
        )  # fmt: skip
    line = ForeignFormatter().format(record)
    event = json.loads(line)
    assert event["message"] == "call of +*** with *** and ***"
    assert event["kind"] == "builtins.ValueError"
    assert event["level"] == "error"
    assert "2025550100" not in line
