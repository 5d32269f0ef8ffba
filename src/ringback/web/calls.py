"""`/v1/calls`: the account's calls, and one of them."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import HttpMethod, Request, Response, delete, route
from litestar.datastructures import State

from ringback.accounts import Account, check_not_expired
from ringback.calls.changes import Changes, changes_after
from ringback.calls.filters import ListedCall, calls_after, find_call, read_filters, total_of
from ringback.calls.parameters import integer, word
from ringback.calls.store import delete_call
from ringback.cursors import make_cursor, read_cursor
from ringback.db import Database
from ringback.errors import NotFound
from ringback.proof import account_synced_through
from ringback.times import now_ms, rfc3339
from ringback.web.answers import NO_STORE, json_answer
from ringback.web.auth import KEY
from ringback.web.query import Query

READ: Final = [HttpMethod.GET, HttpMethod.HEAD]
NO_CALL: Final = "There is no such call, or it was deleted."


@route("/v1/calls", http_method=READ, opt=KEY)
async def calls(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """A page of calls under filters, by date; calls that come in meanwhile shift no page."""
    database: Database = state.database
    account: Account = request.state.account
    check_not_expired(account)
    query = Query(request.scope)
    filters = read_filters(query, account)
    limit = integer(query, "limit", 50, 1, 500)
    with_total = word(query, "total", ("0", "1")) == "1"
    cursor = query.get("cursor")
    # A cursor belongs to its filters and order.
    purpose = "calls." + hashlib.sha256(msgspec.json.encode(filters)).hexdigest()[:16]
    last = await database.read(lambda c: read_cursor(c, purpose, account.id, cursor)) if cursor else None
    # Before the rows: it may claim too little, never too much.
    synced_through = await database.read(lambda c: account_synced_through(c, account.id))
    found, position = await calls_after(database, account, filters, last, limit)
    more = await database.read(lambda c: make_cursor(c, purpose, account.id, *position)) if position else None
    answer: dict[str, Any] = {
        "calls": [call.to_dict() for call in found],
        "next_cursor": more,
        "synced_through": None if synced_through is None else rfc3339(synced_through),
    }
    if with_total:
        answer["total"], answer["total_exact"] = await total_of(database, account, filters)
    return json_answer(answer)


@route("/v1/changes", http_method=READ, opt=KEY)
async def changes(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """What has changed since a cursor, in the order of commits; without one, from the beginning."""
    account: Account = request.state.account
    check_not_expired(account)
    query = Query(request.scope)
    limit, cursor = integer(query, "limit", 100, 1, 1_000), query.get("cursor")
    found: Changes = await state.database.read_long(lambda c: changes_after(c, account.id, cursor, limit))
    return json_answer({"changes": found.changes, "next_cursor": found.cursor, "has_more": found.has_more})


@route("/v1/calls/{call_id:str}", http_method=READ, opt=KEY)
async def one_call(request: Request[Any, Any, Any], state: State, call_id: str) -> Response[bytes]:
    """One call."""
    account: Account = request.state.account
    check_not_expired(account)
    found: ListedCall | None = await state.database.read(lambda c: find_call(c, account.id, call_id))
    if found is None:
        raise NotFound(NO_CALL)
    return json_answer(found.to_dict())


@delete("/v1/calls/{call_id:str}", opt=KEY)
async def end_call(request: Request[Any, Any, Any], state: State, call_id: str) -> Response[None]:
    """Delete a call for ever: sent again, it stays deleted."""
    account: Account = request.state.account
    check_not_expired(account)
    if not await state.database.write(lambda c: delete_call(c, account.id, call_id, now_ms()), account.id):
        raise NotFound(NO_CALL)
    return Response(None, status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE)
