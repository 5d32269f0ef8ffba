"""`/developers`: keys, lines of code that work with them, and a form that sends a request; `/docs`: all requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, NamedTuple

from litestar import Response
from litestar.datastructures import State

from ringback.accounts import Account
from ringback.db import Connection
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import KEY, read_id
from ringback.keys import create_key, list_keys, revoke_key
from ringback.web.pages.access import NAME_BAD
from ringback.web.pages.frame import (
    POLICY,
    FormError,
    PageRequest,
    form,
    is_secure,
    page,
    public_page,
    read_form,
    render,
    root,
    see_other,
)
from ringback.web.pages.language import N_

Page = Response[Any]

PLACEHOLDER: Final = "YOUR_API_KEY"


class Endpoint(NamedTuple):
    """A request of the API: what it answers, its path, and parameters to begin with."""

    name: str
    path: str
    parameters: str


ENDPOINTS: Final = (
    Endpoint(N_("Missed calls"), "/call/missed/list/", "limit=5"),
    Endpoint(N_("Answered calls"), "/call/incoming/list/", "limit=5&sort_by=duration_sec"),
    Endpoint(N_("Outgoing calls"), "/call/outgoing/list/", "limit=5"),
    Endpoint(N_("Connected phones"), "/gateway/mobile/list/", ""),
)

EXAMPLES: Final = {
    "curl": "curl '{url}' -H 'Authorization: Bearer {key}'",
    "Python": (
        "import json, urllib.request\n\n"
        "request = urllib.request.Request(\n    '{url}',\n    headers={{'Authorization': 'Bearer {key}'}},\n)\n"
        "with urllib.request.urlopen(request) as answer:\n    print(json.load(answer))"
    ),
    "PHP": (
        "<?php\n$context = stream_context_create(['http' => ['header' => 'Authorization: Bearer {key}']]);\n"
        "$answer = file_get_contents('{url}', false, $context);\nprint_r(json_decode($answer, true));"
    ),
    "JavaScript": (
        "const answer = await fetch('{url}', {{\n  headers: {{ Authorization: 'Bearer {key}' }},\n}});\n"
        "console.log(await answer.json());"
    ),
}


@page("/developers")
async def developers_page(request: PageRequest, state: State) -> Page:
    """Keys and examples."""
    return await _show(request, state)


async def _show(request: PageRequest, state: State, key: str = "", error: FormError | None = None) -> Page:
    """`key` is one that was just made, and is shown this once."""
    account: Account = request.state.account
    server = _server(request)
    examples = [
        (one, {
            language: text.format(url=server + one.path + (f"?{one.parameters}" if one.parameters else ""),
                                  key=key or PLACEHOLDER)
            for language, text in EXAMPLES.items()
        })
        for one in ENDPOINTS
    ]  # fmt: skip
    keys = await state.database.read(lambda c: list_keys(c, account.id))
    keys.sort(key=lambda one: (one.revoked_ms is not None, -one.created_ms))
    return render(
        request, "developers.html", status=error.status if error else HTTPStatus.OK, error=error, key=key, keys=keys,
        examples=examples, server=server, placeholder=PLACEHOLDER,
    )  # fmt: skip


def _server(request: PageRequest) -> str:
    """This server's address as the browser reached it."""
    public_url: str = request.app.state.settings.public_url
    scheme = "https" if is_secure(request) else "http"
    return public_url or f"{scheme}://{request.headers.get('host', '')}{root(request)}"


@public_page("/docs")
async def docs_page(request: PageRequest) -> Page:
    """The API's documentation, where requests can be tried."""
    # Swagger UI sets styles of its own; this page alone allows them.
    policy = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    return render(request, "docs.html", headers={"Content-Security-Policy": policy})


@form("/developers/keys", "manager")
async def make_key(request: PageRequest, state: State) -> Page:
    """Make a key and show it, once."""
    account: Account = request.state.account
    name = (await read_form(request)).get("name", "")
    try:
        key = await state.database.write(lambda c: create_key(c, account.id, name))
    except InvalidParameter:
        return await _show(request, state, error=FormError(NAME_BAD, "name"))
    return await _show(request, state, key)


@form("/developers/keys/{key_id:str}/revoke", "manager")
async def end_key(request: PageRequest, state: State, key_id: str) -> Page:
    """End a key for ever."""
    account: Account = request.state.account

    async def end(connection: Connection) -> None:
        place = read_id(KEY, key_id)
        if place is None or place[0] != account.id:
            raise NotFound("There is no such key.")
        await revoke_key(connection, key_id)

    await state.database.write(end)
    return see_other(request, "/developers")
