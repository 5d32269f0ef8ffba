"""Pairing: `POST /v1/devices/pair`, and the page that a phone's camera opens."""

from __future__ import annotations

from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Final

from litestar import HttpMethod, MediaType, Request, Response, post, route
from litestar.datastructures import State

from ringback.agent_archive import build_archive
from ringback.db import Database
from ringback.errors import InvalidCode, InvalidParameter
from ringback.pairing import redeem_code
from ringback.settings import Network
from ringback.times import now_ms
from ringback.web.answers import json_answer
from ringback.web.auth import PUBLIC
from ringback.web.body import read_object, short_text

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)


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


def client_address(request: Request[Any, Any, Any], trusted: tuple[Network, ...]) -> str:
    """Where a request comes from: `X-Forwarded-For` is believed from trusted proxies alone, last entry first."""
    client = request.client.host if request.client else ""
    hops = [*request.headers.get("x-forwarded-for", "").split(","), client]
    for hop in reversed([hop.strip() for hop in hops]):
        try:
            address = ip_address(hop)
        except ValueError:
            break
        client = hop
        if not any(address in network for network in trusted if network.version == address.version):
            break
    return client


@route("/pair", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def pair_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What to do with a pairing link; the code stays in the browser."""
    page = (files("ringback.web") / "static" / "pair.html").read_bytes()
    if request.scope["raw_path"].endswith(
        b"/"
    ):  # its addresses are relative: the server may stand below a path of a proxy
        page = page.replace(b'"static/', b'"../static/')
    headers = {
        "Content-Security-Policy": PAGE_POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(page, media_type=MediaType.HTML, headers=headers)


@route("/agent.pyz", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def agent_program() -> Response[bytes]:
    """The phone agent."""
    return Response(build_archive(), media_type="application/zip", headers={"Cache-Control": "no-cache"})
