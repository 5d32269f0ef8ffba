"""One attempt: an event is sent to an endpoint, signed. Rules: the contract of webhooks, "Delivery"."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpcore2 as httpcore
from standardwebhooks import Webhook as StandardWebhook

import ringback
from ringback.addresses import CheckedBackend, NotAllowed, Resolve, resolve
from ringback.settings import Network
from ringback.times import now_ms

MOST_ANSWER_BYTES: Final = 1_000
ANSWER_SECONDS: Final = 0.5
"""How long the beginning of an answer's body is waited for; it decides nothing."""

UNTRUSTED: Final = "The receiver's certificate can't be trusted; check its name, its date and who has signed it."
LONGEST_RETRY_AFTER_S: Final = 24 * 3_600


class Attempt(NamedTuple):
    """What became of sending an event once."""

    at_ms: int
    duration_ms: int
    status: int | None
    """Of HTTP; None where there was no answer."""
    error: str | None
    answer: str | None
    """The beginning of the answer's body."""
    retry_after_s: int | None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300


def sign(secrets: list[str], id: str, type: str, body: str, at_s: int) -> dict[str, str]:
    """The headers of an event that is sent at a moment (s); `secrets` are the valid ones, the oldest first.

    Both the headers of SMSMobileAPI's Webhooks V2, signed with the oldest secret, and those of Standard Webhooks, which
    carry the signatures of all.
    """
    v2 = hmac.digest(secrets[0].encode(), f"{at_s}.{body}".encode(), hashlib.sha256).hex()
    moment = datetime.fromtimestamp(at_s, UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": f"Ringback/{ringback.__version__}",
        "X-SMSMobileAPI-Event": type,
        "X-SMSMobileAPI-Event-ID": id,
        "X-SMSMobileAPI-Timestamp": str(at_s),
        "X-SMSMobileAPI-Signature": f"v1={v2}",
        "Idempotency-Key": id,
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(StandardWebhook(secret).sign(id, moment, body) for secret in secrets),
    }


async def send(
    url: str,
    body: str,
    headers: dict[str, str],
    networks: tuple[Network, ...],
    timeout_s: float,
    resolve: Resolve = resolve,
) -> Attempt:
    """Send the body once; the answer's status must come within the time."""
    started = now_ms()
    begin = asyncio.get_running_loop().time()
    status, answer, retry_after_s, error = None, None, None, None
    backend = CheckedBackend(networks, resolve, public=urlsplit(url).scheme == "https")
    pool = httpcore.AsyncConnectionPool(ssl_context=_ssl_context(), network_backend=backend)
    try:
        async with pool:
            async with asyncio.timeout(timeout_s):
                content = body.encode()
                own = {"Host": urlsplit(url).netloc, "Content-Length": str(len(content))}
                request = httpcore.Request("POST", url, headers=[*own.items(), *headers.items()], content=content)
                response = await pool.handle_async_request(request)
            status = response.status
            retry_after_s = _retry_after(response)
            answer = await _beginning(response)
    except TimeoutError:
        error = f"There was no answer within {timeout_s:g} s."
    except NotAllowed as failure:
        error = str(failure)
    except (httpcore.NetworkError, httpcore.TimeoutException) as failure:
        is_untrusted = isinstance(failure.__cause__ or failure.__context__, ssl.SSLError)
        error = UNTRUSTED if is_untrusted else "The receiver can't be reached, or closed the connection."
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
        error = "The receiver's answer is no HTTP."
    except (OSError, ValueError):
        error = "The connection to the receiver failed."
    if status is not None:
        error = None if 200 <= status < 300 else f"The receiver answered {status}."
    duration = int((asyncio.get_running_loop().time() - begin) * 1_000)
    return Attempt(started, duration, status, error, answer, retry_after_s)


async def _beginning(response: httpcore.Response) -> str:
    """The first kilobyte of the body, as far as it comes in time."""
    data = b""
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError):
        async with asyncio.timeout(ANSWER_SECONDS):
            async for part in response.aiter_stream():
                data += part
                if len(data) >= MOST_ANSWER_BYTES:
                    break
    # PostgreSQL takes no U+0000.
    return data[:MOST_ANSWER_BYTES].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _retry_after(response: httpcore.Response) -> int | None:
    """Seconds that the receiver of a 429 or 503 asks to be left alone for."""
    if response.status not in (429, 503):
        return None
    text = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"").decode("latin-1")
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), LONGEST_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_ms() / 1_000
    return min(max(int(seconds) + 1, 0), LONGEST_RETRY_AFTER_S)


@cache
def _ssl_context() -> ssl.SSLContext:
    return ssl.create_default_context()
