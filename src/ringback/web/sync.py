"""What phones send: `POST /v1/sync/calls`, and what was wrong with it: `GET /v1/sync/rejected`."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import Counter
from typing import Any, Final

from litestar import HttpMethod, Request, Response, post, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from ringback.calls.contract import JsonNumber, parse_report
from ringback.calls.parameters import integer
from ringback.calls.rejected import list_rejected
from ringback.calls.store import Result, take_in
from ringback.cursors import make_cursor, read_cursor
from ringback.db import Connection, Database
from ringback.devices import note_seen
from ringback.errors import InvalidParameter, PayloadTooLarge, RingbackError
from ringback.times import now_ms
from ringback.web.answers import json_answer
from ringback.web.auth import TOKEN, TOKEN_OR_KEY
from ringback.web.query import Query

MOST_REPORTS: Final = 5_000
MOST_BYTES: Final = 4_000_000
"""Of a body, unpacked."""

_TOO_LARGE: Final = f"A body may have {MOST_BYTES:,} bytes unpacked; send it in several requests."

DEEPEST: Final = 100
_LONGEST_INT: Final = 1_000

STATUSES: Final = ("created", "updated", "duplicate", "withheld", "rejected")


@post("/v1/sync/calls", status_code=200, opt=TOKEN)
async def sync_calls(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Take in a phone's reports. When this answers they are committed."""
    database: Database = state.database
    account, device, now = request.state.account, request.state.device, now_ms()
    try:
        values = read_calls(await _read_body(request), request.headers.get("content-encoding", ""))
    except (RingbackError, HTTPException):
        await database.write(lambda c: note_seen(c, account.id, device.number, now), account.id)
        raise
    reports = [parse_report(value, now) for value in values]

    async def take(connection: Connection) -> list[Result]:
        await note_seen(connection, account.id, device.number, now)
        return await take_in(connection, account.id, device.number, reports, now)

    results = await database.write(take, account.id)
    counts = Counter(result.status for result in results)
    return json_answer(
        {"results": results, **{status: counts[status] for status in STATUSES}, "synced_through_ms": None}
    )


async def _read_body(request: Request[Any, Any, Any]) -> bytes:
    """The body. One that is too large is read to its end all the same: a client that still sends hears no answer."""
    body = bytearray()
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size <= MOST_BYTES:
            body += piece
    if size > MOST_BYTES:
        raise PayloadTooLarge(_TOO_LARGE)
    return bytes(body)


def read_calls(body: bytes, encoding: str) -> list[Any]:
    """The reports of a body, each as `json.loads` makes it. Raises InvalidParameter, PayloadTooLarge."""
    try:
        # Lenient, so that text that is no valid Unicode spoils its own report alone.
        content = json.loads(
            _unpack(body, encoding).decode("utf-8", "surrogateescape"),
            parse_float=JsonNumber, parse_int=_parse_int, parse_constant=_refuse_constant,
        )  # fmt: skip
    except (ValueError, RecursionError):
        raise InvalidParameter('The body must be JSON: {"calls": [...]}.') from None
    calls = content.get("calls") if isinstance(content, dict) else None
    if not isinstance(calls, list):
        raise InvalidParameter('The body must be a JSON object with a list "calls".')
    if _is_deeper(calls, DEEPEST):
        raise InvalidParameter(f"The body must be nested at most {DEEPEST} levels deep.")
    if len(calls) > MOST_REPORTS:
        raise PayloadTooLarge(f"At most {MOST_REPORTS:,} reports are taken at once; send them in several requests.")
    return calls


def _unpack(body: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "" | "identity":
            content = body
        case "gzip" | "x-gzip":
            try:
                content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MOST_BYTES + 1)
            except (OSError, EOFError, zlib.error):
                raise InvalidParameter("The body is no gzip, though Content-Encoding says so.") from None
        case _:
            raise InvalidParameter("Content-Encoding must be gzip, or absent.")
    if len(content) > MOST_BYTES:
        raise PayloadTooLarge(_TOO_LARGE)
    return content


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects stand in each other more than so many times: writing them out is recursive."""
    inner = value.values() if isinstance(value, dict) else value
    return any(isinstance(one, dict | list) and (not levels or _is_deeper(one, levels - 1)) for one in inner)


def _parse_int(text: str) -> int | JsonNumber:
    """Python refuses to read integers of many thousand digits."""
    return int(text) if len(text) <= _LONGEST_INT else JsonNumber(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


@route("/v1/sync/rejected", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=TOKEN_OR_KEY)
async def sync_rejected(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Reports that were rejected, oldest first: a token's device's, or a key's whole account's."""
    database: Database = state.database
    account, device = request.state.account, request.state.device
    if device:
        await database.write(lambda c: note_seen(c, account.id, device.number, now_ms()), account.id)
    query = Query(request.scope)
    limit = integer(query, "limit", 100, 1, 500)
    cursor = query.get("cursor")

    async def page(connection: Connection) -> dict[str, Any]:
        row = await connection.fetch_one("select last_rejected from accounts where id = $1", account.id)
        after = await read_cursor(connection, "rejected", account.id, cursor, row[0] if row else 0) if cursor else 0
        rejected = await list_rejected(connection, account.id, device.number if device else None, after, limit + 1)
        more = len(rejected) > limit
        position = int(rejected[limit - 1].id[1:]) if more else 0
        next_cursor = await make_cursor(connection, "rejected", account.id, position) if more else None
        return {"rejected": rejected[:limit], "next_cursor": next_cursor}

    return json_answer(await database.read(page))
