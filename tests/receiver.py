"""A receiver of webhooks on the loopback, which answers as a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

DEADLINE_SECONDS = 60


class Received(NamedTuple):
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


Answer = Callable[[BaseHTTPRequestHandler, Received], None]


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answers with a status."""

    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # with 5, connections that come together lose a second each
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that go away are part of the game."""


class Receiver:
    """Keeps what it receives; `answer` may be changed at any time."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or status(202)
        self.received: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.path, headers, body, time.time())
                receiver.received.append(request)
                receiver.answer(self, request)

            def log_message(self, *_: Any) -> None:
                """Nothing: numbers stay out of logs."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        return [one.event for one in list(self.received)]

    def wait_for(self, count: int) -> list[Received]:
        """What came in, when it is so much or more."""
        wait_until(lambda: len(self.received) >= count)
        return list(self.received)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def wait_until(holds: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
