"""A network that fails: it stands between the agent and the server and spoils requests."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("refused", "failed", "cut", "twice", "late")


class LossyProxy:
    """An HTTP server that hands requests on to another one, mostly."""

    def __init__(self, generator: random.Random) -> None:
        self.port, self.share = 0, 0.0
        """The server's port, and the share of requests that fail."""
        self.after_answer: Callable[[], None] | None = None
        """What happens when the server has just answered for calls, once."""
        self.received_bytes = 0
        """Of the requests' bodies."""
        self._generator = generator
        self._late: list[tuple[str, bytes, dict[str, str]]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy._handle(self, self.path, body, dict(self.headers))

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def deliver_late(self) -> None:
        """Requests whose senders have long given them up arrive now."""
        for path, body, headers in self._late:
            self._forward(path, body, headers)
        self._late.clear()

    def _handle(self, handler: BaseHTTPRequestHandler, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.received_bytes += len(body)
        fault = self._generator.choice(FAULTS) if self._generator.random() < self.share else ""
        if fault == "late":
            self._late.append((path, body, headers))
        if fault in ("refused", "late"):
            handler.connection.close()
            return
        if fault == "failed":
            handler.send_response(500)
            handler.end_headers()
            handler.wfile.write(b'{"code": "server_error", "detail": "try later"}')
            return
        if fault == "twice":
            self._forward(path, body, headers)
        answer = self._forward(path, body, headers)
        if self.after_answer and path == "/v1/sync/calls":
            self.after_answer()
            self.after_answer = None
        if answer is None:
            handler.connection.close()
            return
        status, content = answer
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

    def _forward(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
            return None
        finally:
            connection.close()
