"""The requests of SMSMobileAPI's call API: its three lists, and its list of connected phones."""

from __future__ import annotations

from typing import Any, Final

from litestar import HttpMethod, Request, Response, route
from litestar.datastructures import State

from ringback.accounts import Account
from ringback.calls.listing import call_page, missed_page
from ringback.calls.parameters import search
from ringback.db import Database
from ringback.devices import Device, list_devices
from ringback.proof import account_synced_through
from ringback.text import fold
from ringback.times import now_ms, rfc3339, utc_text
from ringback.web.answers import json_answer
from ringback.web.auth import API_KEY, API_KEY_FOR_EVER

READ: Final = [HttpMethod.GET, HttpMethod.HEAD]


@route("/call/missed/list", http_method=READ, opt=API_KEY)
async def missed_list(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Missed calls, newest first."""
    asked = request.state
    headers = await _synced_through(state.database, asked.account)
    return json_answer(await missed_page(state.database, asked.account, asked.query), headers)


@route("/call/incoming/list", http_method=READ, opt=API_KEY)
async def incoming_list(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Incoming calls that were answered."""
    return await _list(request, state, "incoming")


@route("/call/outgoing/list", http_method=READ, opt=API_KEY)
async def outgoing_list(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Outgoing calls, also those that nobody answered."""
    return await _list(request, state, "outgoing")


async def _list(request: Request[Any, Any, Any], state: State, kind: str) -> Response[bytes]:
    asked = request.state
    # Before the rows: it may claim too little, never too much.
    headers = await _synced_through(state.database, asked.account)
    return json_answer(await call_page(state.database, asked.account, kind, asked.query, asked.apikey), headers)


async def _synced_through(database: Database, account: Account) -> dict[str, str]:
    """The header that tells an empty list from a silent phone."""
    value = await database.read(lambda c: account_synced_through(c, account.id))
    return {} if value is None else {"X-Synced-Through": rfc3339(value)}


@route("/gateway/mobile/list", http_method=READ, opt=API_KEY_FOR_EVER)
async def phone_list(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """The account's phones that count, newest contact first."""
    account, query, now = request.state.account, request.state.query, now_ms()
    sid, sought = query.get("sid"), search(query, "search")
    devices = await state.database.read(lambda connection: list_devices(connection, account.id))
    phones = sorted((d for d in devices if d.counts), key=lambda d: (d.last_seen_ms, d.number), reverse=True)
    items = [_phone(device, now) for device in phones if sid in (None, device.id)]
    folded = fold(sought or "")
    found = [item for item in items if any(folded in fold(item[name] or "") for name in ("sid", "label", "version"))]
    return json_answer(
        {
            "success": True,
            "connected_now": len(phones),
            "connected_limit": None,
            "connected_available": None,
            "filters": {"sid": sid, "search": sought},
            "items": found,
            "note": "",
        }
    )


def _phone(device: Device, at_ms: int) -> dict[str, Any]:
    status = device.status(at_ms)
    return {
        "sid": device.id,
        "label": device.name,
        "status": status,
        "online": status == "online",
        "battery": device.battery,
        "version": device.agent_version,
        "last_seen": utc_text(device.last_seen_ms or 0),
        "synced_through": None if device.synced_through_ms is None else utc_text(device.synced_through_ms),
    }
