"""A small receiver of webhooks, for developers: it checks signatures and hands on what it hears."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from ringback.errors import Conflict

MOST_BYTES: Final = 1_000_000
SKEW_S: Final = 300


def is_signed(headers: dict[str, str], body: bytes, secrets: list[str]) -> bool:
    """Whether both signatures are right with one of the secrets; `headers` by their names in lower case."""
    stamp = headers.get("x-smsmobileapi-timestamp", "")
    if not stamp.isdecimal() or abs(int(stamp) - time.time()) > SKEW_S:
        return False
    signed = f"{stamp}.".encode() + body
    given = headers.get("x-smsmobileapi-signature", "").encode("latin-1")
    v2 = [f"v1={hmac.digest(secret.encode(), signed, hashlib.sha256).hex()}".encode() for secret in secrets]
    return any(hmac.compare_digest(given, one) for one in v2) and any(
        _is_standard(headers, body, one) for one in secrets
    )


def _is_standard(headers: dict[str, str], body: bytes, secret: str) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def listen_for_events(port: int, secrets: list[str], on_event: Callable[[str], None]) -> None:
    """Answer 202 to an event, 200 to one that came before and 401 to one that is not signed right, until interrupted.

    Raises Conflict where the port is taken.
    """
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                self._answer(413)
                return
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if secrets and not is_signed(headers, body, secrets):
                self._answer(401)
                return
            id = headers.get("webhook-id", "")
            self._answer(200 if id in seen else 202)
            if id not in seen:
                on_event(body.decode(errors="replace"))
            seen.add(id)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: the events themselves are what is printed."""

    try:
        server = _Server(("127.0.0.1", port), Handler)
    except OSError:
        raise Conflict(f"Port {port} is in use; choose another one with --port.") from None
    with server:
        server.serve_forever()
