"""The API as OpenAPI 3.1 describes it, made from the handlers."""

from __future__ import annotations

import inspect
import re
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import HttpMethod, Response, route
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

import ringback
from ringback.errors import RingbackError
from ringback.web.auth import PUBLIC
from ringback.web.openapi.operations import OPERATIONS, Operation, Parameter
from ringback.web.openapi.schemas import SCHEMAS, reference, text

_BEARER: Final = {"type": "http", "scheme": "bearer"}
SCHEMES: Final = {
    "key": {**_BEARER, "description": "An account's key."},
    "keyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An account's key."},
    "keyParameter": {
        "type": "apiKey",
        "in": "query",
        "name": "apikey",
        "description": "An account's key, as clients of SMSMobileAPI send it. It ends up in histories and logs.",
    },
    "token": {**_BEARER, "description": "A device's token."},
}
"""What opens a request."""

_KEY: Final = ("key", "keyHeader")
_OF_LISTS: Final = ("missing_apikey", "invalid_apikey")
ACCESS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "public": ((), ()),
    "api_key": ((*_KEY, "keyParameter"), (*_OF_LISTS, "api_expired")),
    "api_key_for_ever": ((*_KEY, "keyParameter"), _OF_LISTS),
    "key": (_KEY, ("invalid_token",)),
    "token": (("token",), ("invalid_token",)),
    "token_or_key": (("token", *_KEY), ("invalid_token",)),
}
"""What each access of a route takes, and the codes of errors that follow from it."""

_ERRORS: Final[list[type[RingbackError]]] = [RingbackError, *RingbackError.__subclasses__()]
_STATUS_OF: Final = {**{kind.code: kind.status for kind in _ERRORS}, "method_not_allowed": 405}
_ALWAYS: Final = ("invalid_parameter", "server_error", "unavailable")
_HEADERS: Final = {
    "X-Request-ID": {"description": "Names the request in the server's log.", "schema": text()},
}
_SYNCED_THROUGH: Final = {
    "X-Synced-Through": {
        "description": "Up to when all phones of the account are known to be complete; absent while one is not.",
        "schema": text(format="date-time"),
    }
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


@route("/openapi.json", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def openapi(state: State) -> Response[bytes]:
    """This description."""
    return Response(
        _document(state.settings.public_url),
        media_type="application/json",
        headers={"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"},
    )


@cache
def _document(server_url: str) -> bytes:
    return msgspec.json.encode(describe(server_url))


def describe(server_url: str) -> dict[str, Any]:
    """The document; `server_url` is where the server is reached, "" where only its reader knows."""
    paths: dict[str, dict[str, Any]] = {}
    for handler, operation in {**OPERATIONS, openapi: _THIS}.items():
        (path,) = handler.paths
        shown = re.sub(r":\w+}", "}", path) + ("/" if path.endswith("/list") else "")
        for method in sorted(handler.http_methods - {"HEAD", "OPTIONS"}):
            paths.setdefault(shown, {})[method.lower()] = _operation(handler, operation, shown)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Ringback",
            "version": ringback.__version__,
            "summary": "The call history of ordinary mobile phones, kept on a server of one's own.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server_url or "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in OPERATIONS.values())],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": SCHEMES},
    }


_THIS: Final = Operation("Server", {"type": "object"})


def _operation(handler: HTTPRouteHandler, operation: Operation, path: str) -> dict[str, Any]:
    schemes, codes = ACCESS[handler.opt["access"]]
    in_path = re.findall(r"{(\w+)}", path)
    codes += (*_ALWAYS, *operation.errors)
    if operation.body:
        codes += ("payload_too_large",)
    if in_path:
        codes += ("not_found", "method_not_allowed")
    described: dict[str, Any] = {
        "operationId": handler.fn.__name__,
        "summary": inspect.cleandoc(handler.fn.__doc__ or "").splitlines()[0].rstrip("."),
        "tags": [operation.tag],
        "security": [{scheme: []} for scheme in schemes],
        "parameters": [_path_parameter(name) for name in in_path] + [_parameter(one) for one in operation.parameters],
        "responses": {str(operation.status): _answer(operation, path), **_errors(codes, path)},
    }
    if operation.body:
        content = {"application/json": {"schema": operation.body, "example": operation.body_example}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": text(), "description": "An id, as a list gave it."}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": parameter.schema}


def _answer(operation: Operation, path: str) -> dict[str, Any]:
    headers = {**_HEADERS, **(_SYNCED_THROUGH if path.startswith("/call/") else {})}
    described: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase, "headers": headers}
    if operation.answer is None:
        return described
    content: dict[str, Any] = {"schema": operation.answer}
    if operation.example is not None:
        content["example"] = operation.example
    return {**described, "content": {operation.media_type: content}}


def _errors(codes: tuple[str, ...], path: str) -> dict[str, Any]:
    """Answers of errors by their status; below `/v1` they are problem details (RFC 9457)."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(_STATUS_OF[code], []).append(code)
    problem = path.startswith("/v1/")
    media_type = "application/problem+json" if problem else "application/json"
    described = {}
    for status, of_status in sorted(by_status.items()):
        examples = {code: {"value": _error_example(code, status, problem=problem)} for code in of_status}
        described[str(status)] = {
            "description": ", ".join(f"`{code}`" for code in of_status),
            "headers": {**_HEADERS, **(_RETRY_AFTER if status in (429, 503) else {})},
            "content": {media_type: {"schema": reference("Problem" if problem else "Error"), "examples": examples}},
        }
    return described


def _error_example(code: str, status: int, *, problem: bool) -> dict[str, Any]:
    detail = "7f3a9c0b12de4568" if code == "server_error" else "One clear sentence."
    if not problem:
        return {"success": False, "error": code, "detail": detail}
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
