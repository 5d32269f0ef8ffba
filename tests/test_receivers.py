"""The receivers of docs/webhooks.md take a real delivery and refuse a forged one; and `ringback webhook`."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from receiver import Receiver, status, wait_until
from ringback.times import DAY_MS, now_ms, rfc3339
from service import RINGBACK, Customer, Service, Shell, environment, free_port, remember, run
from test_webhooks import LOCAL, Shop, fresh_call

DOCS = (Path(__file__).parents[1] / "docs" / "webhooks.md").read_text("utf-8")
FILES = {"python": "receiver.py", "php": "receiver.php", "js": "receiver.mjs"}


@pytest.fixture(scope="module")
def service(fresh: Callable[[str], str]) -> Iterator[Service]:
    service = Service(fresh("sqlite"), variables=LOCAL | {"RINGBACK_WEBHOOK_RETRIES": "0.3"})
    yield service
    service.stop()


def command(language: str, file: Path, port: int) -> tuple[str, ...]:
    match language:
        case "python":
            return sys.executable, str(file), str(port)
        case "php":
            return "php", "-S", f"127.0.0.1:{port}", str(file)
    node = shutil.which("node") or str(Path(sys.executable).parent / "node")
    return node, str(file), str(port)


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("language", FILES)
def test_a_receiver_of_the_documentation(service: Service, tmp_path: Path, language: str) -> None:
    [code] = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    file, port = tmp_path / FILES[language], free_port()
    file.write_text(code)
    shop = Shop(service, f"http://127.0.0.1:{port}/", "call.missed")
    out = (tmp_path / "out").open("wb")
    process = subprocess.Popen(
        command(language, file, port), env={**environment(), "SECRET": shop.secret, "TMPDIR": str(tmp_path)},
        stdout=out, stderr=out,
    )  # fmt: skip
    try:
        wait_until(lambda: is_open(port))
        shop.send(fresh_call("+12025550147"))
        [delivery] = shop.wait_for("delivered")
        assert delivery["attempts"][-1]["status"] == 202
        shop.ask("POST", f"/deliveries/{delivery['id']}/resend", expected=202)
        wait_until(lambda: len(shop.deliveries()[0]["attempts"]) > len(delivery["attempts"]))
        assert shop.deliveries()[0]["attempts"][-1]["status"] == 200
        wait_until(lambda: b"call.missed +12025550147" in (tmp_path / "out").read_bytes())
        for stamp in ("", "1", str(now_ms() // 1_000)):
            headers = {"X-SMSMobileAPI-Timestamp": stamp, "X-SMSMobileAPI-Signature": "v1=" + "0" * 64}
            body = b'{"id": "made-up", "type": "call.missed", "data": {}}'
            url = f"http://127.0.0.1:{port}/"
            assert httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30).status_code == 401
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def shell(service: Service) -> Shell:
    return Shell(service.database_url)


@pytest.fixture
def shop(service: Service) -> Customer:
    return service.customer()


def test_webhooks_on_the_command_line(service: Service, shell: Shell, shop: Customer) -> None:
    url = service.database_url
    receiver = Receiver()
    create = ("webhook", "create", "--account", shop.name, "--url", receiver.url)
    assert "not public" in shell.refused(2, *create)

    def allowed(*arguments: str) -> Any:
        done = run(*arguments, RINGBACK_DATABASE_URL=url, **LOCAL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    [made] = json.loads(allowed(*create, "--event", "call.missed", "--format", "json"))
    assert list(made) == ["id", "secret"]
    remember(made["secret"])
    [listed] = shell.json("webhook", "list", "--account", shop.name)
    assert listed == {
        "id": made["id"], "url": receiver.url, "events": ["call.missed"], "status": "active",
        "created_at": listed["created_at"],
    }  # fmt: skip
    assert receiver.url in shell.ok("webhook", "list", "--account", shop.name, "--format", "csv")

    def deliveries() -> Any:
        found = shell.json("webhook", "deliveries", made["id"])
        return found or [{"status": ""}]

    receiver.answer = status(500)
    service.send(shop.token, fresh_call("+12025550101"))
    wait_until(lambda: deliveries()[0]["status"] == "failed")

    assert "The receiver answered 500." in shell.ok("webhook", "deliveries", made["id"], "--format", "csv")
    receiver.answer = status(200)
    shell.ok("webhook", "resend", deliveries()[0]["id"])
    wait_until(lambda: deliveries()[0]["status"] == "delivered")
    shell.ok("webhook", "pause", made["id"])
    service.send(shop.token, fresh_call("+12025550102"))
    assert deliveries()[0]["status"] == "held"
    shell.ok("webhook", "resume", made["id"])
    wait_until(lambda: deliveries()[0]["status"] == "delivered")
    count = len(receiver.received)
    moments = ("--from", rfc3339(now_ms() - DAY_MS), "--to", rfc3339(now_ms() + DAY_MS))
    assert shell.ok("webhook", "replay", made["id"], *moments) == "2\n"
    receiver.wait_for(count + 2)
    assert shell.ok("webhook", "replay", made["id"], "--from-change", "0", "--to-change", "2") == "1\n"
    receiver.wait_for(count + 3)
    shell.refused(2, "webhook", "replay", made["id"], "--from-change", "0")
    shell.refused(2, "webhook", "replay", made["id"], "--from", "yesterday", "--to", "today")
    for bad in ("w1-999999", "w9-1", "nonsense"):
        for action in ("pause", "resume", "delete", "deliveries", "resend"):
            assert shell.refused(1, "webhook", action, bad)
    shell.ok("webhook", "delete", made["id"])
    assert shell.json("webhook", "list", "--account", shop.name) == []
    receiver.stop()


def test_listen_checks_and_prints(service: Service) -> None:
    port = free_port()
    shop = Shop(service, f"http://127.0.0.1:{port}/", "call.missed")
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            (*RINGBACK, "webhook", "listen", "--port", str(port), "--secret", shop.secret), env=environment(),
            stdout=out, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr
        assert b"Listening at" in process.stderr.readline()
        wait_until(lambda: is_open(port))
        shop.send(fresh_call("+12025550148"))
        [delivery] = shop.wait_for("delivered")
        assert delivery["attempts"][-1]["status"] == 202
        shop.ask("POST", f"/webhooks/{shop.webhook}/rotate", {"overlap_seconds": 0}, 200)
        shop.ask("POST", f"/deliveries/{delivery['id']}/resend", expected=202)
        wait_until(lambda: shop.deliveries()[0]["attempts"][-1]["status"] == 401)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        out.seek(0)
        [line] = out.read().splitlines()
        assert b"+12025550148" in line


def test_listen_says_that_its_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            (*RINGBACK, "webhook", "listen", "--port", port),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "choose another one with --port" in done.stderr
