"""What phones send: `POST /v1/sync/calls`, and what was wrong with it: `GET /v1/sync/rejected`."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from litestar import HttpMethod, Request, Response, post, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from ringback.calls.contract import parse_report
from ringback.calls.parameters import integer
from ringback.calls.rejected import list_rejected, rejected_number
from ringback.calls.store import Result, take_in
from ringback.cursors import make_cursor, read_cursor
from ringback.db import Connection, Database
from ringback.devices import note_seen
from ringback.errors import InvalidParameter, PayloadTooLarge, RingbackError
from ringback.times import now_ms
from ringback.web.answers import json_answer
from ringback.web.auth import TOKEN, TOKEN_OR_KEY
from ringback.web.body import read_object
from ringback.web.query import Query

MOST_REPORTS: Final = 5_000
STATUSES: Final = ("created", "updated", "duplicate", "withheld", "rejected")


@post("/v1/sync/calls", status_code=200, opt=TOKEN)
async def sync_calls(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Take in a phone's reports. When this answers they are committed."""
    database: Database = state.database
    account, device, now = request.state.account, request.state.device, now_ms()
    try:
        values = await _read_calls(request)
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


async def _read_calls(request: Request[Any, Any, Any]) -> list[Any]:
    calls = (await read_object(request)).get("calls")
    if not isinstance(calls, list):
        raise InvalidParameter('The body must be a JSON object with a list "calls".')
    if len(calls) > MOST_REPORTS:
        raise PayloadTooLarge(f"At most {MOST_REPORTS:,} reports are taken at once; send them in several requests.")
    return calls


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
        position = rejected_number(rejected[limit - 1]) if more else 0
        next_cursor = await make_cursor(connection, "rejected", account.id, position) if more else None
        return {"rejected": rejected[:limit], "next_cursor": next_cursor}

    return json_answer(await database.read(page))
