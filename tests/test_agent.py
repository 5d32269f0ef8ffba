"""The agent on a simulated phone, against a real server."""

from __future__ import annotations

import json
import random
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backup_files import backup, call_element
from lossy_proxy import LossyProxy
from ringback.agent import calllog
from ringback.agent_archive import build_archive
from ringback.devices import revoke_device
from service import Service, bearer, on_database, run
from termux.simulator import ARABIC, BURMESE, PERSIAN, Phone
from test_pairing import code_for

START = 1_761_231_000_000


class Paired:
    """A simulated phone and the account it is paired with."""

    def __init__(self, service: Service, folder: Path, **phone: Any) -> None:
        folder.mkdir()
        self.service, self.customer = service, service.customer()
        self.phone = Phone(folder, **phone)
        printed = self.phone.run("pair", f"{service.url}/pair#{code_for(service, self.customer, 'phone')}")
        assert printed.returncode == 0, printed.stderr

    def rows(self, kind: str = "missed") -> list[dict[str, Any]]:
        answer = self.service.http.get(
            f"/call/{kind}/list/", params={"limit": 500}, headers=bearer(self.customer.key)
        ).json()
        return list(answer["data" if kind == "missed" else "rows"])

    def stored(self) -> list[tuple[int, str, int]]:
        """Moment, number and kind of each call."""
        sql = (
            "select c.at_ms, p.number, c.kind from calls c join parties p on p.account_id = c.account_id"
            " and p.id = c.party_id where c.account_id = $1 order by c.at_ms, c.id"
        )
        return [tuple(row) for row in on_database(self.service.database_url, lambda c: c.fetch(sql, self.customer.id))]


@pytest.fixture
def paired(service: Service, tmp_path: Path) -> Paired:
    return Paired(service, tmp_path / "phone")


def test_a_call_arrives_once(paired: Paired) -> None:
    phone = paired.phone
    phone.call("+32470000001", START + 250, name="Anna")
    phone.call("+32470000002", START + 5_000, type=1, duration=3_725)
    assert "2 created" in phone.ok("sync")
    assert [(row["number"], row["name"]) for row in paired.rows()] == [("+32470000001", "Anna")]
    [incoming] = paired.rows("incoming")
    assert (incoming["call_date_ms"], incoming["duration_sec"]) == (START + 5_000, 3_725)
    assert "0 created" in phone.ok("sync")
    phone.rows[1]["name"] = "Bea"  # the dialer fills names in later
    assert "1 updated" in phone.ok("sync")
    assert paired.rows("incoming")[0]["cached_name"] == "Bea"
    status = phone.ok("status")
    assert f"phone with {paired.service.url}" in status
    assert "0 calls" in status


def test_every_kind_of_row(paired: Paired) -> None:
    phone = paired.phone
    rows = [
        ("+1", 1, "Anna"), ("", 3, ""), (None, 3, None), ("-1", 3, None), ("*31#030", 2, None), ("sip:a@b", 5, "x"),
        ("+2", 6, None), ("+3", 7, "elsewhere"), ("+4", 4, None), ("+5", 1000, None), (" +6 ", 3, "UNKNOWN_CALLER"),
    ]  # fmt: skip
    for place, (number, type, name) in enumerate(rows):
        phone.call(number, START + 1_000 * place, type=type, name=name)
    assert "11 created" in phone.ok("sync")
    assert [(number, kind) for _, number, kind in paired.stored()] == [
        ("+1", 1), ("", 3), ("", 3), ("", 3), ("*31#030", 2), ("sip:a@b", 5), ("+2", 6), ("+3", 0), ("+4", 4),
        ("+5", 0), ("+6", 3),
    ]  # fmt: skip
    assert {row["name"] for row in paired.rows()} == {""}


@pytest.mark.parametrize("digits", [ARABIC, PERSIAN, BURMESE])
def test_digits_of_every_script(service: Service, tmp_path: Path, digits: str) -> None:
    paired = Paired(service, tmp_path / "phone", digits=digits, zone="Asia/Tehran")
    paired.phone.call("+1", START, type=1, duration=3_661)
    assert "1 created" in paired.phone.ok("sync")
    assert [(row["call_date_ms"], row["duration_sec"]) for row in paired.rows("incoming")] == [(START, 3_661)]


def test_travel_changes_no_call(paired: Paired) -> None:
    phone = paired.phone
    for place in range(20):
        phone.call(f"+3247000000{place}", START + 3_600_000 * place)
    phone.ok("sync")
    before = paired.stored()
    for zone in ("America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"):
        phone.zone = zone
        assert "0 created, 0 updated" in phone.ok("sync")
    assert paired.stored() == before


@pytest.mark.parametrize(("zone", "change"), [("Europe/Berlin", 1_698_541_200), ("Australia/Lord_Howe", 1_712_415_600)])
def test_the_end_of_summer_time(service: Service, tmp_path: Path, zone: str, change: int) -> None:
    """Rows of the repeated hour: what their order decides comes at its instant, the rest once all the same."""
    paired = Paired(service, tmp_path / "phone", zone=zone)
    length = 1_800 if zone.startswith("Australia") else 3_600
    moments = [change - length - 60, change - 900, change - 300, change + 60, change + length + 60]
    for place, moment in enumerate(moments):
        paired.phone.call(f"+3247000000{place}", moment * 1_000 + 250)
    lone = Paired(service, tmp_path / "lone", zone=zone)
    lone.phone.call("+32470000009", (change + 300) * 1_000)
    paired.phone.ok("sync")
    assert [at for at, _, _ in paired.stored()] == [moment * 1_000 for moment in moments]
    lone.phone.ok("sync")
    assert [at for at, _, _ in lone.stored()] == [(change + 300 - length) * 1_000]
    # A row of the first pass, told by its place in the log after a later local time, decides the others.
    lone.phone.call("+32470000007", (change - 100) * 1_000)
    assert "1 created, 1 updated" in lone.phone.ok("sync")
    assert [at for at, _, _ in lone.stored()] == [(change - 100) * 1_000, (change + 300) * 1_000]


def test_equal_rows_are_two_calls_and_a_backup_file_adds_none(paired: Paired, tmp_path: Path) -> None:
    phone = paired.phone
    for _ in range(2):
        phone.call("+32470000001", START + 100)
    phone.call("+32470000001", START + 900)
    phone.call("+32470000002", START + 2_000, type=1, duration=9)
    assert "4 created" in phone.ok("sync")
    names = {1: "incoming", 2: "outgoing", 3: "missed"}
    reports = [
        {"number": row["number"], "date_ms": row["date"], "duration_sec": row["duration"], "type": names[row["type"]]}
        for row in phone.rows
    ]
    file = tmp_path / "calls.xml"
    file.write_text(backup(map(call_element, reports)), "utf-8")
    result = run(
        "import", str(file), "--account", paired.customer.name, RINGBACK_DATABASE_URL=paired.service.database_url
    )
    assert "0 created, 4 updated" in result.stdout, result.stderr
    assert [at for at, _, _ in paired.stored()] == [START + 100, START + 100, START + 900, START + 2_000]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("empty", "answered nothing"),
        ("truncated", "breaks off"),
        ("denied", "Android does not let Termux:API read the call log"),
    ],
)
def test_a_log_that_cant_be_read_advances_nothing(paired: Paired, fault: str, sentence: str) -> None:
    phone = paired.phone
    phone.call("+1", START)
    phone.fault = fault
    assert sentence in phone.failed("sync")
    assert "FAIL the call log can be read: " in phone.failed("doctor")
    assert paired.stored() == []
    phone.fault = ""
    assert "1 created" in phone.ok("sync")


def test_a_helper_that_hangs_ends_in_time(paired: Paired) -> None:
    paired.phone.fault = "hang"
    started = time.monotonic()
    assert "termux-call-log did not answer" in paired.phone.failed("sync")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("fault", ["literal zero", "at most 50"])
def test_makers_that_read_the_limit_otherwise(paired: Paired, fault: str) -> None:
    phone = paired.phone
    for place in range(120):
        phone.call(f"+{place}", START + 1_000 * place)
    phone.fault = fault
    phone.run("sync")
    if fault == "literal zero":
        assert len(paired.stored()) == 120
    phone.fault = ""
    phone.ok("sync")
    assert len(paired.stored()) == 120


def test_commands_that_are_missing_or_old(paired: Paired) -> None:
    (paired.phone.folder / "bin" / "termux-call-log").unlink()
    assert "termux-call-log is missing; run `pkg install termux-api`" in paired.phone.failed("sync")
    assert "FAIL the call log can be read" in paired.phone.failed("doctor")


def test_rows_that_nobody_can_read_are_refused_and_kept(paired: Paired) -> None:
    phone = paired.phone
    phone.call("+1", START, name="x" * 600)
    phone.call("+2", START, name="good")
    assert "1 created" in phone.ok("sync")
    answer = paired.service.http.get("/v1/sync/rejected", headers=bearer(paired.customer.key)).json()
    assert [one["report"]["number"] for one in answer["rejected"]] == ["+1"]
    assert calllog.normalise([{"date": "no date", "type": "MISSED"}], 0)[0].report["date_ms"] == "no date"


def test_pairing_that_fails(service: Service, tmp_path: Path) -> None:
    customer = service.customer()
    phone = Phone(tmp_path)
    used = code_for(service, customer, "phone")
    phone.ok("pair", service.url, used.lower())
    try:
        assert "There is no such code" in phone.failed("pair", service.url, "ABCD2345")
        assert "was used already" in phone.failed("pair", service.url, used)
    finally:
        on_database(service.database_url, lambda c: c.execute("delete from pairing_tries"))
    assert "looks like https://" in phone.failed("pair", "https://x.example", code=2)
    assert "can't be read" in phone.failed("pair", "ftp://x", "ABCD2345", code=2)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert "refuses connections" in phone.failed("pair", f"http://127.0.0.1:{port}/pair#ABCD2345")
    assert "Warning: http:// is not encrypted" in phone.run("pair", service.url, used).stderr
    assert phone.run("sync").returncode == 0  # still paired as before
    assert phone.home.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in phone.home.iterdir()} == {0o600}
    assert phone.run("nonsense").returncode == 2


def test_a_revoked_token_keeps_the_outbox(paired: Paired) -> None:
    phone, service, customer = paired.phone, paired.service, paired.customer
    phone.ok("sync")
    on_database(service.database_url, lambda c: revoke_device(c, customer.id, "phone"))
    phone.call("+1", START)
    assert "pair the phone again" in phone.failed("sync")
    assert "1 calls" in phone.ok("status")
    phone.rows.clear()
    phone.ok("pair", f"{service.url}/pair#{code_for(service, customer, 'phone')}")
    assert "1 created" in phone.ok("sync")


def test_unpair_and_not_paired(paired: Paired) -> None:
    paired.phone.ok("schedule")
    assert "The token is forgotten" in paired.phone.ok("unpair")
    assert "--cancel" in paired.phone.commands("termux-job-scheduler")[-1]
    assert "not paired" in paired.phone.failed("sync")
    assert "not paired" in paired.phone.ok("unpair")
    assert "FAIL the server answers" in paired.phone.failed("doctor")


def test_update_fetches_the_servers_program(paired: Paired) -> None:
    phone = paired.phone
    assert "version already" in phone.ok("update")
    phone.agent.write_bytes(phone.agent.read_bytes() + b"\n")
    assert "Updated" in phone.ok("update")
    assert phone.agent.read_bytes() == build_archive()
    phone.ok("sync")
    assert paired.service.http.get("/agent.pyz").content == build_archive()


def test_a_damaged_outbox_is_made_anew(paired: Paired) -> None:
    phone = paired.phone
    for place in range(50):
        phone.call(f"+{place}", START + 1_000 * place)
    phone.ok("sync")
    file = phone.home / "outbox.db"
    good = file.read_bytes()
    for damage in (
        b"no database at all" * 50,
        good[:100] + b"\xff" * 3_000 + good[3_100:],
        good[: len(good) // 2],
        b"",
    ):
        file.write_bytes(damage)
        phone.run("sync")
        result = phone.run("sync")
        assert result.returncode == 0, result
    assert len(paired.stored()) == 50
    (phone.home / "config.json").write_text("{")
    assert "pair the phone again" in phone.failed("sync")


def test_a_full_disk(paired: Paired) -> None:
    for place in range(300):
        paired.phone.call(f"+{place}", START + 1_000 * place, name="x" * 100)

    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    paired.phone.write_state()
    result = subprocess.run(
        (sys.executable, "-I", str(paired.phone.agent), "sync"),
        env=paired.phone.environment(), preexec_fn=few_bytes, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "outbox" in result.stdout + result.stderr
    assert "300 created" in paired.phone.ok("sync")


def test_two_runs_at_once(paired: Paired) -> None:
    import fcntl

    with (paired.phone.home / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "Another run" in paired.phone.failed("sync")
    paired.phone.ok("sync")


class Peer(BaseHTTPRequestHandler):
    """A server that is not what it should be."""

    mode = "html"
    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        status = {"busy": 503, "fails": 500}.get(self.mode, 200)
        body = b"<html>Log in to the hotel's network</html>"
        if self.mode in ("busy", "fails"):
            body = json.dumps({"code": "unavailable", "detail": "later"}).encode()
        if self.mode == "short":
            greeting = b'{"server_time_ms": 1761231000000, "rules": {"never": [], "sims": null, "hours": null}}'
            body = greeting if self.path.endswith("heartbeat") else b'{"results": []}'
        self.send_response(status)
        if self.mode == "busy":
            self.send_header("Retry-After", "120")
        self.send_header("Content-Length", str(len(body) * (2 if self.mode == "cut" else 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def peer() -> Iterator[ThreadingHTTPServer]:
    Peer.mode, Peer.asked = "html", 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_servers_that_are_none(paired: Paired, peer: ThreadingHTTPServer) -> None:
    phone = paired.phone
    phone.call("+1", START)
    config = json.loads((phone.home / "config.json").read_text())
    (phone.home / "config.json").write_text(json.dumps({**config, "server": f"http://127.0.0.1:{peer.server_port}"}))
    for mode, sentence in (
        ("html", "does not answer as a Ringback server does"),
        ("cut", "broke off"),
        ("short", "does not name a result for each call"),
        ("fails", "The server refuses: later"),
        ("busy", "The server refuses: later"),
    ):
        Peer.mode = mode
        assert sentence in phone.failed("sync"), mode
        assert "1 calls" in phone.ok("status")
    asked = Peer.asked
    assert "left alone for" in phone.failed("sync", "--scheduled")
    assert Peer.asked == asked
    phone.failed("sync")  # by hand it tries all the same
    assert Peer.asked == asked + 1
    (phone.home / "config.json").write_text(json.dumps(config))
    assert "1 created" in phone.ok("sync")
    phone.ok("sync", "--scheduled")


def test_a_run_ends_in_time_whatever_it_waits_for() -> None:
    """Also where no wait of its own is too long, as with a server that sends a byte a second."""
    code = (
        "import time; from ringback.agent.deadline import deadline; from ringback.agent.trouble import Trouble\n"
        "try:\n with deadline(0.3):\n  for _ in range(100): time.sleep(0.1)\n"
        "except Trouble as trouble: print(trouble.sentence)"
    )
    started = time.monotonic()
    result = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert "took too long and was ended" in result.stdout
    assert time.monotonic() - started < 8


def test_a_server_that_sends_a_byte_now_and_then(paired: Paired) -> None:
    """The run ends in time, the log is read all the same, and who holds the phone is told after a day."""
    phone = paired.phone
    phone.call("+1", START)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with suppress(OSError):
                        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600:
                            connection.send(bytes((byte,)))
                            time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        config = json.loads((phone.home / "config.json").read_text())
        changed = json.dumps({**config, "server": f"http://127.0.0.1:{listening.getsockname()[1]}"})
        (phone.home / "config.json").write_text(changed)
        with closing(sqlite3.connect(phone.home / "outbox.db")) as outbox, outbox:
            outbox.execute("update notes set value = '1' where name in ('paired_at', 'synced_at')")
        started = time.monotonic()
        assert "answers too slowly" in phone.failed("sync")
        assert time.monotonic() - started < 30
    assert "1 calls" in phone.ok("status")
    assert "answers too slowly" in phone.ok("status")
    assert len(phone.commands("termux-notification")) == 1


def test_a_certificate_that_does_not_verify(paired: Paired, tmp_path: Path) -> None:
    import ssl

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        check=True, capture_output=True,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = json.loads((paired.phone.home / "config.json").read_text())
    changed = json.dumps({**config, "server": f"https://localhost:{server.server_port}"})
    (paired.phone.home / "config.json").write_text(changed)
    paired.phone.call("+1", START)
    assert "does not verify" in paired.phone.failed("sync")
    server.shutdown()


def test_killed_runs_lose_and_double_nothing(paired: Paired) -> None:
    phone = paired.phone
    for place in range(480):
        phone.call(f"+{place}", START + 1_000 * place)
    for step in range(15):
        process = phone.start("sync")
        time.sleep(0.05 + step * 0.02)
        process.kill()
        process.communicate()
    phone.ok("sync")
    assert [at for at, _, _ in paired.stored()] == [START + 1_000 * place for place in range(480)]


def test_a_clock_that_is_wrong_by_a_year(paired: Paired) -> None:
    paired.phone.call("+1", int(time.time() * 1_000) + 365 * 86_400_000)
    paired.phone.call("+2", START)
    paired.phone.ok("sync")
    assert [number for _, number, _ in paired.stored()] == ["+2"]


def pythons() -> list[str]:
    found = {path for n in range(9, 15) if (path := shutil.which(f"python3.{n}", path="/usr/bin:/usr/local/bin"))}
    versions = Path.home() / ".pyenv" / "versions"
    found |= {str(one / "bin" / "python3") for one in versions.glob("3.*") if int(one.name.split(".")[1]) >= 9}
    return sorted(found | {sys.executable})


def test_every_python_at_hand_runs_it(paired: Paired) -> None:
    for place, python in enumerate(pythons()):
        paired.phone.call(f"+{place}", START + 1_000 * place)
        process = paired.phone.start("sync", python=python)
        out, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, ""), python
        assert "1 created" in out


def test_it_needs_nothing_but_python_3_9() -> None:
    source = Path(calllog.__file__).parent
    command = (Path(sys.executable).with_name("vermin"), "-t=3.9-", "--no-tips", "--violations", str(source))
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert len(build_archive()) < 60_000


def test_a_known_log_of_2000_rows_is_cheap(service: Service, tmp_path: Path) -> None:
    paired = Paired(service, tmp_path / "phone")
    for place in range(2_000):
        paired.phone.call(f"+3247000{place % 300:04}", START + 61_000 * place, subscription_id=str(place // 500))
    paired.phone.ok("sync")
    # A small program between: what a process of ours starts inherits our own memory in this figure.
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = (sys.executable, "-c", measure, sys.executable, "-I", str(paired.phone.agent), "sync")
    result = subprocess.run(command, env=paired.phone.environment(), capture_output=True, text=True, check=True)
    assert int(result.stdout.split()[-1]) < 40_000  # kB
    assert len(paired.stored()) == 2_000

    proxy = LossyProxy(random.Random(0))
    proxy.port = service.port
    config = json.loads((paired.phone.home / "config.json").read_text())
    (paired.phone.home / "config.json").write_text(json.dumps({**config, "server": proxy.url}))
    paired.phone.ok("sync")
    proxy.stop()
    assert 0 < proxy.received_bytes < 20_000


def test_undecided_rows_by_their_order() -> None:
    first, second = 1_698_539_400, 1_698_543_000
    both = [first, second]
    after = second + 7_200
    assert calllog.decide([both], after) == [both]
    assert calllog.decide([both, [first + 600, second + 600]], after) == [both, [first + 600, second + 600]]
    assert calllog.decide([[first + 600, second + 600], both], after) == [[first + 600], [second]]
    assert calllog.decide([both], second - 1) == [[first]]
    assert calllog.decide([[second + 5_000], both, [second + 6_000]], after) == [
        [second + 5_000],
        both,
        [second + 6_000],
    ]


def test_it_runs_by_itself(paired: Paired) -> None:
    phone = paired.phone
    assert "FAIL sync runs by itself: it does not; run `schedule`." in phone.failed("doctor")
    assert "every 15 minutes" in phone.ok("schedule")
    [given] = [call for call in phone.commands("termux-job-scheduler") if "--script" in call]
    options = dict(zip(given[::2], given[1::2], strict=True))
    script = Path(options.pop("--script"))
    assert options == {
        "--job-id": "7401", "--period-ms": "900000", "--network": "any", "--battery-not-low": "false",
        "--persisted": "true",
    }  # fmt: skip
    assert script.stat().st_mode & 0o777 == 0o700
    assert "FAIL" not in phone.ok("doctor")
    phone.call("+1", START)
    phone.write_state()
    assert subprocess.run([script], env=phone.environment()).returncode == 0
    assert [number for _, number, _ in paired.stored()] == ["+1"]
    assert "no longer" in phone.ok("unschedule")
    assert not script.exists()
    assert "FAIL sync runs by itself" in phone.failed("doctor")


def test_sync_waits_for_the_row_of_a_call(paired: Paired) -> None:
    phone = paired.phone
    phone.call("+1", START)
    phone.ok("sync")
    process = phone.start("sync", "--wait", "12")
    time.sleep(1)
    phone.call("+2", START + 60_000)
    phone.write_state()
    out, _ = process.communicate(timeout=60)
    assert "1 created" in out
    started = time.monotonic()
    assert "0 created" in phone.ok("sync", "--wait", "4")
    assert 0.9 < time.monotonic() - started < 15
    assert phone.run("sync", "--wait", "soon").returncode == 2


def test_a_notification_after_a_day_without_the_server(paired: Paired) -> None:
    phone = paired.phone
    phone.ok("sync")
    on_database(paired.service.database_url, lambda c: revoke_device(c, paired.customer.id, "phone"))
    phone.failed("sync", "--scheduled")
    assert phone.commands("termux-notification") == []
    with sqlite3.connect(phone.home / "outbox.db") as outbox:
        outbox.execute("update notes set value = value - 86500 where name in ('synced_at', 'paired_at')")
    for _ in range(3):
        phone.failed("sync")
    [shown] = phone.commands("termux-notification")
    assert shown[:4] == ["-i", "ringback", "-t", "Ringback can't sync"]
    assert "doctor" in shown[5]
