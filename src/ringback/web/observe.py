"""What is noted of each request: an id on its answer, a line in the log, and counts for `/metrics`."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from typing import Any, Final

from litestar import HttpMethod, Response, route
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from ringback.logs import log
from ringback.web.auth import PUBLIC

ASKED_OFTEN: Final = ("/healthz", "/readyz", "/metrics")
"""What machines ask all the time: in the log only where it fails."""

METHODS: Final = {method.value for method in HttpMethod}

REQUESTS: Final = Counter("ringback_requests_total", "Requests that were answered.", ("method", "path", "status"))
SECONDS: Final = Histogram(
    "ringback_request_seconds",
    "How long answers took.",
    ("path",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REPORTS: Final = Counter(
    "ringback_reports_total", "Reports of calls that phones sent, by what became of them.", ("status",)
)


@route("/metrics", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def metrics() -> Response[bytes]:
    """Counts of all workers since the server's start, for Prometheus."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the package has no types
    return Response(
        generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"}
    )


def request_id(scope: Scope) -> str:
    """The id of a request, which stands on its answer too."""
    return str(scope["state"]["request_id"])


def observed(app: ASGIApp, *, log_requests: bool) -> ASGIApp:
    """The application, and what is noted of each of its requests; `log_requests`: in the log, too."""

    async def observe(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        start = time.perf_counter()
        id = secrets.token_hex(8)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = id
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", id.encode())]
            await send(message)

        try:
            await app(scope, receive, send_named)
        finally:
            seconds = time.perf_counter() - start
            path = _count(scope, status, seconds)
            if log_requests and (path not in ASKED_OFTEN or status >= HTTPStatus.BAD_REQUEST):
                _log(scope, path, status, seconds)

    return observe


def _count(scope: Any, status: int, seconds: float) -> str:
    """Count a request by its path's template, which is returned; `status` is 0 where there was no answer."""
    # The path itself may be a one-time link.
    path = scope.get("path_template") or "unknown"
    REQUESTS.labels(_method(scope), path, str(status)).inc()
    SECONDS.labels(path).observe(seconds)
    return path


def _method(scope: Any) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"


def _log(scope: Any, path: str, status: int, seconds: float) -> None:
    account = scope["state"].get("account")
    log.info(
        "request",
        request_id=scope["state"]["request_id"],
        method=_method(scope),
        path=path,
        status=status,
        ms=round(seconds * 1_000, 1),
        account=account.id if account else None,
    )
