"""`/v1/webhooks` and `/v1/deliveries`: endpoints that hear of events, and what became of each event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar import HttpMethod, Request, Response, delete, patch, post, route
from litestar.datastructures import State

from ringback.addresses import check_url
from ringback.calls.filters import MOST_NUMBER
from ringback.calls.parameters import integer
from ringback.cursors import make_cursor, read_cursor
from ringback.db import Connection, Database, T
from ringback.errors import InvalidParameter
from ringback.ids import DELIVERY, read_id
from ringback.times import parse_moment
from ringback.web.answers import NO_STORE, json_answer
from ringback.web.auth import KEY
from ringback.web.body import read_object
from ringback.web.query import Query
from ringback.webhooks import (
    LONGEST_OVERLAP_S,
    OVERLAP_S,
    change_webhook,
    check_events,
    check_secret,
    create_webhook,
    delete_webhook,
    delivery_by_id,
    list_deliveries,
    list_webhooks,
    replay,
    resend,
    rotate_secret,
    test_webhook,
    webhook_by_id,
)

READ: Final = [HttpMethod.GET, HttpMethod.HEAD]
Asked = Request[Any, Any, Any]


async def _write(request: Asked, work: Callable[[Connection, int], Awaitable[T]]) -> T:
    """Run work on the account in a transaction."""
    database: Database = request.app.state.database
    account_id: int = request.state.account.id
    return await database.write(lambda connection: work(connection, account_id), account_id)


async def _read(request: Asked, work: Callable[[Connection, int], Awaitable[T]]) -> T:
    database: Database = request.app.state.database
    return await database.read(lambda connection: work(connection, request.state.account.id))


async def _url(state: State, body: dict[str, Any]) -> str:
    if not isinstance(body.get("url"), str):
        raise InvalidParameter("url must be text: the address that events are sent to.")
    return await check_url(body["url"], state.settings.webhook_networks)


def _events(body: dict[str, Any]) -> str:
    if not isinstance(body.get("events"), list):
        raise InvalidParameter("events must be a list of types.")
    return check_events(body["events"])


def _secret(body: dict[str, Any]) -> str:
    secret = body.get("secret")
    if secret is not None and not isinstance(secret, str):
        raise InvalidParameter("secret must be text.")
    return check_secret(secret)


@route("/v1/webhooks", http_method=READ, opt=KEY)
async def webhooks(request: Asked) -> Response[bytes]:
    """The account's endpoints, without their secrets."""
    found = await _read(request, list_webhooks)
    return json_answer({"webhooks": [webhook.to_dict() for webhook in found], "next_cursor": None})


@post("/v1/webhooks", opt=KEY)
async def make_webhook(request: Asked, state: State) -> Response[bytes]:
    """A new endpoint; its secret is shown this once."""
    body = await read_object(request)
    secret, types = _secret(body), _events(body)
    url = await _url(state, body)
    made = await _write(request, lambda c, account_id: create_webhook(c, account_id, url, types, secret))
    return json_answer({**made.to_dict(), "secret": secret}, status=201)


@route("/v1/webhooks/{webhook_id:str}", http_method=READ, opt=KEY)
async def one_webhook(request: Asked, webhook_id: str) -> Response[bytes]:
    """One endpoint."""
    return json_answer((await _read(request, lambda c, a: webhook_by_id(c, a, webhook_id))).to_dict())


@patch("/v1/webhooks/{webhook_id:str}", opt=KEY)
async def patch_webhook(request: Asked, state: State, webhook_id: str) -> Response[bytes]:
    """Give an endpoint another address, other types, or pause it or take it up again."""
    await _read(request, lambda c, a: webhook_by_id(c, a, webhook_id))
    body = await read_object(request)
    status = body.get("status")
    if status not in (None, "active", "paused"):
        raise InvalidParameter("status must be active or paused.")
    types = None if body.get("events") is None else _events(body)
    url = None if body.get("url") is None else await _url(state, body)
    changed = await _write(request, lambda c, a: change_webhook(c, a, webhook_id, url=url, types=types, status=status))
    return json_answer(changed.to_dict())


@delete("/v1/webhooks/{webhook_id:str}", opt=KEY)
async def end_webhook(request: Asked, webhook_id: str) -> Response[None]:
    """Delete an endpoint with its deliveries."""
    await _write(request, lambda c, a: delete_webhook(c, a, webhook_id))
    return Response(None, status_code=204, headers=NO_STORE)


@post("/v1/webhooks/{webhook_id:str}/rotate", status_code=200, opt=KEY)
async def rotate_webhook(request: Asked, webhook_id: str) -> Response[bytes]:
    """Give an endpoint a new secret, shown this once; the old one stays valid for a while."""
    await _read(request, lambda c, a: webhook_by_id(c, a, webhook_id))
    body = await read_object(request)
    secret, overlap = _secret(body), body.get("overlap_seconds", OVERLAP_S)
    if type(overlap) is not int or not 0 <= overlap <= LONGEST_OVERLAP_S:
        raise InvalidParameter(f"overlap_seconds must be a whole number from 0 to {LONGEST_OVERLAP_S:,}.")
    await _write(request, lambda c, a: rotate_secret(c, a, webhook_id, secret, overlap))
    return json_answer({"secret": secret})


@post("/v1/webhooks/{webhook_id:str}/test", status_code=202, opt=KEY)
async def send_test(request: Asked, webhook_id: str) -> Response[bytes]:
    """Send an endpoint an event of the type `webhook.test`."""
    delivery = await _write(request, lambda c, a: test_webhook(c, a, webhook_id))
    return json_answer({"delivery_id": delivery}, status=202)


@post("/v1/webhooks/{webhook_id:str}/replay", status_code=202, opt=KEY)
async def replay_events(request: Asked, webhook_id: str) -> Response[bytes]:
    """Send the events of a range again, whether or not they arrived."""
    await _read(request, lambda c, a: webhook_by_id(c, a, webhook_id))
    place, first, last = _range(await read_object(request))
    return json_answer(await _write(request, lambda c, a: replay(c, a, webhook_id, place, first, last)), status=202)


def _range(body: dict[str, Any]) -> tuple[str, int, int]:
    """What a range is of, and its ends. Raises InvalidParameter."""
    by_change, by_moment = ("from_change", "to_change"), ("from", "to")
    names = by_moment if any(name in body for name in by_moment) else by_change
    if {name for name in (*by_change, *by_moment) if name in body} != set(names):
        raise InvalidParameter("Send from and to, two moments, or from_change and to_change, two change numbers.")
    first, last = ((_moment if names == by_moment else _change)(body, name) for name in names)
    if first > last:
        raise InvalidParameter("The range ends before it begins.")
    return ("created_ms" if names == by_moment else "change"), first, last


def _moment(body: dict[str, Any], name: str) -> int:
    moment = parse_moment(body[name]) if isinstance(body[name], str) else None
    if moment is None:
        raise InvalidParameter(f"{name} must be a moment such as 2026-02-24T12:49:39Z.")
    return moment


def _change(body: dict[str, Any], name: str) -> int:
    change = body[name]
    if type(change) is not int or not 0 <= change <= MOST_NUMBER:
        raise InvalidParameter(f"{name} must be a change number, as deliveries show it.")
    return int(change)


@route("/v1/webhooks/{webhook_id:str}/deliveries", http_method=READ, opt=KEY)
async def deliveries(request: Asked, webhook_id: str) -> Response[bytes]:
    """An endpoint's deliveries, newest first."""
    query = Query(request.scope)
    limit, cursor = integer(query, "limit", 50, 1, 200), query.get("cursor")

    async def page(connection: Connection, account_id: int) -> dict[str, Any]:
        purpose = f"deliveries.{(await webhook_by_id(connection, account_id, webhook_id)).number}"
        (before,) = await read_cursor(connection, purpose, account_id, cursor) if cursor else (MOST_NUMBER,)
        found = await list_deliveries(connection, account_id, webhook_id, before, limit + 1)
        last = read_id(DELIVERY, found[limit - 1]["id"]) if len(found) > limit else None
        more = await make_cursor(connection, purpose, account_id, last[1]) if last else None
        return {"deliveries": found[:limit], "next_cursor": more}

    return json_answer(await _read(request, page))


@route("/v1/deliveries/{delivery_id:str}", http_method=READ, opt=KEY)
async def one_delivery(request: Asked, delivery_id: str) -> Response[bytes]:
    """One delivery."""
    return json_answer(await _read(request, lambda c, a: delivery_by_id(c, a, delivery_id)))


@post("/v1/deliveries/{delivery_id:str}/resend", status_code=202, opt=KEY)
async def resend_delivery(request: Asked, delivery_id: str) -> Response[bytes]:
    """Send an event again, with a fresh plan of attempts."""

    async def again(connection: Connection, account_id: int) -> dict[str, Any]:
        await resend(connection, account_id, delivery_id)
        return await delivery_by_id(connection, account_id, delivery_id)

    return json_answer(await _write(request, again), status=202)
