"""What phones send: `POST /v1/sync/calls`, and what was wrong with it: `GET /v1/sync/rejected`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import HttpMethod, Request, Response, post, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from ringback.accounts import Account
from ringback.calls.contract import JSON, MOST_INT, parse_report
from ringback.calls.manifest import parse_manifest
from ringback.calls.parameters import integer
from ringback.calls.rejected import list_rejected, rejected_number
from ringback.calls.store import STATUSES, Result, take_in
from ringback.cursors import make_cursor, read_cursor
from ringback.db import Connection, Database
from ringback.devices import Device, Heartbeat, note_heartbeat, note_seen
from ringback.errors import InvalidParameter, PayloadTooLarge, RingbackError
from ringback.proof import synced_through, take_manifest
from ringback.times import now_ms
from ringback.web.answers import json_answer
from ringback.web.auth import TOKEN, TOKEN_OR_KEY
from ringback.web.body import read_object, short_text
from ringback.web.observe import REPORTS
from ringback.web.query import Query

MOST_REPORTS: Final = 5_000
PERMISSIONS: Final = ("ok", "denied", "unknown")
NO_RULES: Final[dict[str, Any]] = {"never": [], "sims": None, "hours": None}


@post("/v1/sync/calls", status_code=200, opt=TOKEN)
async def sync_calls(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Take in a phone's reports. When this answers they are committed."""
    database: Database = state.database
    account, device, now = request.state.account, request.state.device, now_ms()
    async with _seen_even_if_refused(database, account, device, now):
        values = await _read_calls(request)
    reports = [parse_report(value, now) for value in values]

    async def take(connection: Connection) -> tuple[list[Result], int | None]:
        await note_seen(connection, account.id, device.number, now)
        results = await take_in(connection, account.id, device.number, reports, now)
        return results, await synced_through(connection, account.id, device.number)

    results, value = await database.write(take, account.id)
    counts = Counter(result.status for result in results)
    for status, count in counts.items():
        REPORTS.labels(status).inc(count)
    return json_answer(
        {"results": results, **{status: counts[status] for status in STATUSES}, "synced_through_ms": value}
    )


@asynccontextmanager
async def _seen_even_if_refused(
    database: Database, account: Account, device: Device, at_ms: int
) -> AsyncIterator[None]:
    """A request that is refused is a contact all the same."""
    try:
        yield
    except (RingbackError, HTTPException):
        await database.write(lambda c: note_seen(c, account.id, device.number, at_ms), account.id)
        raise


async def _read_calls(request: Request[Any, Any, Any]) -> list[Any]:
    calls = (await read_object(request, JSON)).get("calls")
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
        newest = row[0] if row else 0
        (after,) = await read_cursor(connection, "rejected", account.id, cursor, newest) if cursor else (0,)
        rejected = await list_rejected(connection, account.id, device.number if device else None, after, limit + 1)
        more = len(rejected) > limit
        position = rejected_number(rejected[limit - 1]) if more else 0
        next_cursor = await make_cursor(connection, "rejected", account.id, position) if more else None
        return {"rejected": rejected[:limit], "next_cursor": next_cursor}

    return json_answer(await database.read(page))


@post("/v1/sync/heartbeat", status_code=200, opt=TOKEN)
async def sync_heartbeat(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """The phone says how it is, and hears the server's clock and rules."""
    database: Database = state.database
    account, device, now = request.state.account, request.state.device, now_ms()
    async with _seen_even_if_refused(database, account, device, now):
        said = _heartbeat(await read_object(request))

    async def note(connection: Connection) -> None:
        await note_seen(connection, account.id, device.number, now)
        await note_heartbeat(connection, account.id, device.number, said)

    await database.write(note, account.id)
    return json_answer({"server_time_ms": now_ms(), "rules": NO_RULES})


def _heartbeat(body: dict[str, Any]) -> Heartbeat:
    outbox, battery = body.get("outbox"), body.get("battery")
    charging, permission = body.get("charging"), body.get("permission")
    if type(outbox) is not int or not 0 <= outbox <= MOST_INT:
        raise InvalidParameter("outbox must be a whole number: how many calls wait on the phone.")
    if battery is not None and (type(battery) is not int or not 0 <= battery <= 100):
        raise InvalidParameter("battery must be a whole number from 0 to 100, or null.")
    if charging is not None and type(charging) is not bool:
        raise InvalidParameter("charging must be true, false or null.")
    if permission not in PERMISSIONS:
        raise InvalidParameter(f"permission must be one of {', '.join(PERMISSIONS)}.")
    version, zone = short_text(body, "agent_version"), short_text(body, "time_zone")
    return Heartbeat(version, zone, outbox, battery, charging, permission)


@post("/v1/sync/manifest", status_code=200, opt=TOKEN)
async def sync_manifest(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """The phone lists every row of one read; the answer names those that are not here."""
    database: Database = state.database
    account, device, now = request.state.account, request.state.device, now_ms()
    async with _seen_even_if_refused(database, account, device, now):
        manifest = parse_manifest(await read_object(request))

    async def take(connection: Connection) -> dict[str, Any]:
        await note_seen(connection, account.id, device.number, now)
        missing, value = await take_manifest(connection, account.id, device.number, manifest, now_ms())
        return {"missing": missing, "synced_through_ms": value}

    return json_answer(await database.write(take, account.id))
