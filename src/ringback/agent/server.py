"""Asking the server: JSON over HTTP, TLS verified, each answer checked, every failure a sentence."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from . import VERSION
from .deadline import Deadline
from .trouble import ServerTrouble, UsageTrouble

ANSWER_SECONDS = 10.0
LARGEST_ANSWER = 8_000_000
LONGEST_WAIT_S = 86_400.0


class Address(NamedTuple):
    """Where the server is; `path` is what stands before `/v1`."""

    secure: bool
    host: str
    port: int | None
    path: str
    text: str


def read_address(text: str) -> Address:
    """The parts of a server's address. Raises UsageTrouble."""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    path = parts.path.rstrip("/")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not re.fullmatch(r"[!-~]*", path + parts.hostname)
    ):
        raise UsageTrouble("The server's address can't be read; it looks like https://calls.example.org.")
    return Address(parts.scheme == "https", parts.hostname, port, path, f"{parts.scheme}://{parts.netloc}{path}")


def read_link(link: str) -> tuple[str, str]:
    """Server and code of a pairing link such as https://calls.example.org/pair#ABCD2345. Raises UsageTrouble."""
    server, found, code = link.partition("/pair#")
    if not found or not code:
        raise UsageTrouble("A pairing link looks like https://calls.example.org/pair#ABCD2345.")
    return server, code


class Server:
    """A server and the token by which it knows this phone."""

    def __init__(self, address: Address, token: str, deadline: Deadline) -> None:
        self.address = address
        self._token = token
        self._deadline = deadline
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """The JSON object that the server answers. Raises ServerTrouble."""
        packed = gzip.compress(body if isinstance(body, bytes) else json.dumps(body).encode(), mtime=0)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        status, answer, retry_after = self._exchange("POST", path, packed, headers)
        content: Any = None
        try:
            content = json.loads(answer)
        except (ValueError, RecursionError):
            pass
        if status == 200 and isinstance(content, dict):
            return content
        raise _refusal(self.address, status, content, retry_after)

    def get(self, path: str) -> bytes:
        """What stands at a path. Raises ServerTrouble."""
        status, answer, retry_after = self._exchange("GET", path, None, {})
        if status != 200:
            raise _refusal(self.address, status, None, retry_after)
        return answer

    def close(self) -> None:
        """End the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes, float | None]:
        headers = {**headers, "User-Agent": f"ringback-agent/{VERSION}", "Accept": "application/json, */*"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        fresh = self._connection is None
        try:
            return self._try(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A server may end a connection that has been idle; then, and then only, once more at once.
            if not fresh and isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
                try:
                    return self._try(method, path, body, headers)
                except (OSError, http.client.HTTPException) as second:
                    self.close()
                    raise ServerTrouble(_sentence(self.address, second)) from second
            raise ServerTrouble(_sentence(self.address, error)) from error

    def _try(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes, float | None]:
        if self._connection is None:
            self._connection = self._connect()
        if self._connection.sock:
            self._connection.sock.settimeout(self._deadline.left(ANSWER_SECONDS))
        self._connection.request(method, self.address.path + path, body, headers)
        response = self._connection.getresponse()
        answer = response.read(LARGEST_ANSWER)
        if response.length:  # what is left unread: `read` with a limit does not tell that it breaks off
            raise http.client.IncompleteRead(answer, response.length)
        return response.status, answer, _seconds(response.headers.get("Retry-After"))

    def _connect(self) -> http.client.HTTPConnection:
        seconds = self._deadline.left(ANSWER_SECONDS)
        if not self.address.secure:
            return http.client.HTTPConnection(self.address.host, self.address.port, timeout=seconds)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(self.address.host, self.address.port, timeout=seconds, context=context)


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_WAIT_S) if text and re.fullmatch("[0-9]{1,9}", text) else None


def _refusal(address: Address, status: int, content: Any, retry_after: float | None) -> ServerTrouble:
    """What an answer that is not the one hoped for means."""
    code = content.get("code") if isinstance(content, dict) else None
    detail = content.get("detail") if isinstance(content, dict) else None
    if code is None:
        sentence = f"{address.host} does not answer as a Ringback server does (HTTP {status}); check its address."
    elif status == 401:
        sentence = "The server does not know this phone's token any more; pair the phone again. What waits is kept."
    else:
        sentence = f"The server refuses: {str(detail)[:200]}"
    return ServerTrouble(sentence, status, retry_after)


def _sentence(address: Address, error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {address.host} does not verify ({error.verify_message}); check the server's address,"
            " its certificate and the phone's clock. Nothing was sent."
        )
    if isinstance(error, ssl.SSLError):
        return f"{address.host} does not speak TLS there; check the server's address."
    if isinstance(error, socket.gaierror):
        return f"The name {address.host} was not found; is the phone online, and the server's address right?"
    if isinstance(error, (socket.timeout, TimeoutError)):
        return f"{address.host} did not answer in time; it is asked again later."
    if isinstance(error, ConnectionRefusedError):
        return f"{address.host} refuses connections; is the server running, and its address right?"
    if isinstance(error, (http.client.HTTPException, ConnectionError)):
        return f"The answer of {address.host} broke off; it is asked again later."
    return f"{address.host} can't be reached ({error.strerror or type(error).__name__})."
