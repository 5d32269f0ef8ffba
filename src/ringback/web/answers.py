"""What every answer has in common: a request id, and errors as the contract spells them."""

from __future__ import annotations

import logging
import secrets
import traceback
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import Message, Scope

from ringback.errors import RingbackError
from ringback.web.auth import SignInNeeded
from ringback.web.pages.frame import error_page, to_login, wants_page

_log = logging.getLogger("ringback")

JSON = MediaType.JSON
PROBLEM = "application/problem+json"
RETRY_SECONDS = 60
"""What a client waits where nobody knows better."""

NO_STORE = {"Cache-Control": "no-store"}


def json_answer(content: Any, headers: dict[str, str] | None = None) -> Response[bytes]:
    """An answer of ready-made JSON that no cache keeps."""
    return Response(msgspec.json.encode(content), media_type=JSON, headers={**NO_STORE, **(headers or {})})


def request_id(scope: Scope) -> str:
    """The id of a request, made when first asked for."""
    state: dict[str, Any] = scope["state"]
    if "request_id" not in state:
        state["request_id"] = secrets.token_hex(8)
    return str(state["request_id"])


async def name_request(message: Message, scope: Scope) -> None:
    """Put the request's id on its answer."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"x-request-id", request_id(scope).encode())]


def answer_error(request: Request[Any, Any, Any], error: RingbackError) -> Response[Any]:
    """An error of ours; somebody at a browser who is not signed in is sent to sign in."""
    if isinstance(error, SignInNeeded) and wants_page(request):
        return to_login(request)
    retry_after = error.retry_after or (RETRY_SECONDS if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(request, error.status, error.code, error.detail, headers)


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """An error that Litestar found before a handler ran: no such path, another method, too large a body."""
    path = request.scope["path"]
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return _answer(request, 404, "not_found", "There is nothing at this address.")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = (error.headers or {}).get("allow") or (error.headers or {}).get("Allow", "")
            methods = ", ".join(sorted(m for m in allowed.replace(" ", "").split(",") if m not in ("", "OPTIONS")))
            detail = f"This address takes {methods} only."
            return _answer(request, 405, "method_not_allowed", detail, {"Allow": methods})
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # The rest of the body is not read, so nothing more can be understood on this connection.
            detail = "The body is larger than is taken at once; send less."
            return _answer(request, 413, "payload_too_large", detail, {"Connection": "close"})
        case status if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _answer(request, status, "invalid_parameter", "The request can't be read; check its form.")
    _log.error("request %s of %s: HTTP %s", request_id(request.scope), path, error.status_code)
    return _server_error(request)


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A fault of the program. Its text may quote numbers and names, so the log has its kind and its places only."""
    log_fault(request_id(request.scope), error)
    return _server_error(request)


def log_fault(id: str, error: BaseException) -> None:
    """Log a fault of the program by the id of the request that led to it."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    kind = f"{type(error).__module__}.{type(error).__name__} {getattr(error, 'sqlstate', '')}".strip()
    _log.error("request %s: %s\n  %s", id, kind, "\n  ".join(places))


def _server_error(request: Request[Any, Any, Any]) -> Response[Any]:
    return _answer(request, 500, "server_error", request_id(request.scope))


def _answer(
    request: Request[Any, Any, Any], status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> Response[Any]:
    """A page for a browser, problem details (RFC 9457) below `/v1`, else the envelope of SMSMobileAPI."""
    if wants_page(request):
        return error_page(request, status, code, detail, headers or {})
    body: dict[str, Any]
    if request.scope["path"].startswith("/v1/"):
        title = HTTPStatus(status).phrase
        body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
        media_type = PROBLEM
    else:
        body, media_type = {"success": False, "error": code, "detail": detail}, JSON
    headers = {**NO_STORE, **(headers or {})}
    return Response(msgspec.json.encode(body), status_code=status, media_type=media_type, headers=headers)
