"""Pairing: `POST /v1/devices/pair`, and the page that a phone's camera opens."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, Request, Response, post, route
from litestar.datastructures import State

from ringback.agent_archive import build_archive
from ringback.db import Database
from ringback.errors import InvalidCode, InvalidParameter
from ringback.pairing import redeem_code
from ringback.times import now_ms
from ringback.web.answers import json_answer
from ringback.web.auth import PUBLIC, client_address
from ringback.web.body import read_object, short_text
from ringback.web.pages.frame import PageRequest, public_page, render


@post("/v1/devices/pair", status_code=200, opt=PUBLIC)
async def pair_device(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """A phone's code becomes its token."""
    database: Database = state.database
    body = await read_object(request)
    code = short_text(body, "code")
    if not code:
        raise InvalidParameter("code is missing; it must be the pairing code.")
    platform, version = short_text(body, "platform"), short_text(body, "agent_version")
    address = client_address(request, state.settings.trusted_proxies)
    paired = await database.write(lambda c: redeem_code(c, code, platform, version, address))
    if isinstance(paired, InvalidCode):
        raise paired
    device = paired.device
    return json_answer({"device_id": device.id, "name": device.name, "token": paired.token, "server_time_ms": now_ms()})


@public_page("/pair")
async def pair_page(request: PageRequest) -> Response[str]:
    """What to do with a pairing link; the code stays in the browser."""
    return render(request, "pair.html")


@route("/agent.pyz", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def agent_program() -> Response[bytes]:
    """The phone agent."""
    return Response(build_archive(), media_type="application/zip", headers={"Cache-Control": "no-cache"})
