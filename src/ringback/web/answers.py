"""What answers have in common, and errors as the contract spells them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from ringback.errors import RingbackError
from ringback.logs import log, log_fault
from ringback.web.auth import SignInNeeded
from ringback.web.observe import request_id
from ringback.web.pages.frame import error_page, to_login, wants_page

JSON = MediaType.JSON
PROBLEM = "application/problem+json"
RETRY_SECONDS = 60
"""What a client waits where nobody knows better."""

NO_STORE = {"Cache-Control": "no-store"}


def json_answer(content: Any, headers: dict[str, str] | None = None, status: int | None = None) -> Response[bytes]:
    """An answer of ready-made JSON that no cache keeps; with the handler's own status where none is given."""
    return Response(
        msgspec.json.encode(content), status_code=status, media_type=JSON, headers={**NO_STORE, **(headers or {})}
    )


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
    log.error("refused", request_id=request_id(request.scope), status=error.status_code)
    return _server_error(request)


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A fault of the program."""
    log_fault(error, request_id=request_id(request.scope))
    return _server_error(request)


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
