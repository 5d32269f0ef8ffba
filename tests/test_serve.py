"""The server as a process: it starts, answers, refuses to start, ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service import Service, run


def test_starts_answers_and_ends(tmp_path: Path) -> None:
    service = Service(f"sqlite:///{tmp_path}/ringback.db")
    try:
        for path in ("/healthz", "/healthz/"):
            answer = service.http.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
            assert answer.headers["x-request-id"]
        missing = service.http.get("/nothing")
        assert missing.status_code == 404
        assert missing.json() == {
            "success": False,
            "error": "not_found",
            "detail": "There is nothing at this address.",
        }
        refused = service.http.post("/healthz")
        assert (refused.status_code, refused.json()["error"]) == (405, "method_not_allowed")
        assert refused.headers["allow"] == "GET, HEAD"
    finally:
        assert service.stop() == 0


def test_readyz_says_whether_the_database_is_there(tmp_path: Path) -> None:
    file = tmp_path / "ringback.db"
    service = Service(f"sqlite:///{file}")
    try:
        assert service.http.get("/readyz").json() == {"status": "ready"}
        file.rename(tmp_path / "elsewhere.db")
        answer = service.http.get("/readyz")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert service.http.get("/healthz").status_code == 200
        assert int(answer.headers["retry-after"]) > 0
    finally:
        service.stop()


def test_the_option_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/from-file.db")
    (tmp_path / ".env").write_text(f"RINGBACK_DATABASE_URL_FILE={tmp_path}/url\n")
    service = Service(f"sqlite:///{tmp_path}/from-option.db")
    customer = service.customer()
    try:
        assert service.http.get("/call/missed/list/", params={"apikey": customer.key}).status_code == 200
        assert not (tmp_path / "from-file.db").exists()
    finally:
        service.stop()
    assert run("migrate").returncode == 0
    assert (tmp_path / "from-file.db").exists()


def test_two_workers_answer_and_end(database_url: str) -> None:
    service = Service(database_url, "--workers", "2")
    try:
        assert service.http.get("/readyz").status_code == 200
    finally:
        assert service.stop() == 0


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        result = run("serve", "--port", port, "--database", f"sqlite:///{tmp_path}/ringback.db")
    assert result.returncode == 1
    assert result.stderr == (
        f"ringback: Port {port} of 127.0.0.1 is in use or not allowed; choose another one with --port.\n"
    )


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"RINGBACK_DATABASE_URL": "mysql://x"}, "RINGBACK_DATABASE_URL must begin with sqlite:///"),
        ({"RINGBACK_DATABASE_URL": "postgresql://u@h:99999/x"}, "RINGBACK_DATABASE_URL is no address: its port"),
        ({"RINGBACK_LOG_REQUESTS": "yes"}, "RINGBACK_LOG_REQUESTS must be 0 or 1."),
        ({"RINGBACK_DATABASE_URL_FILE": "/nowhere/at/all"}, "RINGBACK_DATABASE_URL_FILE names can't be read"),
    ],
)
def test_settings_are_checked_at_start(variables: dict[str, str], sentence: str) -> None:
    result = run("serve", **variables)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_unknown_settings_are_warned_of() -> None:
    result = run("--help", RINGBACK_DATABSE_URL="x")
    assert result.returncode == 0
    assert "RINGBACK_DATABSE_URL is no setting" in result.stderr


def raw(service: Service, head: bytes, body: bytes = b"") -> bytes:
    """What comes back, until the server closes, for bytes that no client of ours would send."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


def test_requests_of_old_and_careless_clients(service: Service) -> None:
    key = f"Authorization: Bearer {service.customer().key}".encode()
    page = b'{"success":true,"offset":0,"limit":100,"count":0,"data":[]}'
    assert raw(service, b"GET /call/missed/list HTTP/1.0\r\n" + key).endswith(page)
    assert raw(service, b"GET /call/missed/list HTTP/1.1\r\nConnection: close\r\n" + key).endswith(page)  # no Host
    with_body = b"GET /call/missed/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n" + key
    assert raw(service, with_body, b"body").endswith(page)
    many = b"GET /call/missed/list?limit=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + key
    assert b'"limit":500' in raw(service, many % (b"9" * 10_000))
    assert raw(service, many % (b"9" * 1_000_000)).startswith(b"HTTP/1.1 431 ")
    assert raw(service, b"NONSENSE").startswith(b"HTTP/1.1 400 ")


def test_half_a_request_holds_up_nobody(service: Service) -> None:
    halves = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(100)]
    for connection in halves:
        connection.sendall(b"GET /call/missed/list HTTP/1.1\r\nHost:")
    assert service.http.get("/healthz").status_code == 200
    for connection in halves:
        connection.close()
    assert service.http.get("/healthz").status_code == 200
