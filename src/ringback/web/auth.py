"""Who may ask: closed by default. A route says in `opt` what opens it; a route that says nothing is refused."""

from __future__ import annotations

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from ringback.accounts import check_not_expired
from ringback.db import Database
from ringback.devices import PREFIX as DEVICE_PREFIX
from ringback.devices import token_device, use_next_token
from ringback.errors import InvalidApiKey, InvalidParameter, InvalidToken, MissingApiKey
from ringback.keys import key_account
from ringback.web.query import Query

API_KEY: Final = {"access": "api_key"}
"""An account's key, in the query or a header, until the account expires; `state.query` and `state.apikey`, the key as
it came in the query, are set too."""
API_KEY_FOR_EVER: Final = {"access": "api_key_for_ever"}
"""The same, after the account has expired too."""
PUBLIC: Final = {"access": "public"}
TOKEN: Final = {"access": "token"}
"""A device's token: `state.account` and `state.device` are set."""
KEY: Final = {"access": "key"}
"""An account's key, in a header: `state.account` is set."""
TOKEN_OR_KEY: Final = {"access": "token_or_key"}
"""That, or an account's key: then `state.device` is None."""

_UNKNOWN_KEY: Final = "The key is unknown or revoked; make a new one with `ringback key create`."

Requester = ASGIConnection[Any, Any, Any, Any]


async def guard(connection: Requester, handler: BaseRouteHandler) -> None:
    """Let the request through if it may. Raises InvalidToken, InvalidApiKey, MissingApiKey, ApiExpired."""
    access = handler.opt.get("access")
    if access == "public" or connection.scope.get("method") == "OPTIONS":
        return
    database: Database = connection.app.state.database
    if access in ("api_key", "api_key_for_ever"):
        await _open_with_api_key(connection, database)
        if access == "api_key":
            check_not_expired(connection.state.account)
        return
    token = header_token(connection)
    is_device = token.startswith(DEVICE_PREFIX)
    if is_device and access in ("token", "token_or_key"):
        await _open_with_token(connection, database, token)
    elif token and not is_device and access in ("key", "token_or_key"):
        await _open_with_key(connection, database, token)
    else:
        raise InvalidToken("Send a device's token or an account's key, whichever belongs here, as a Bearer token.")


async def _open_with_token(connection: Requester, database: Database, token: str) -> None:
    found = await database.read(lambda c: token_device(c, token))
    if found is None:
        raise InvalidToken("The token is unknown or revoked; pair the phone again.")
    account, device, is_next = found
    connection.state.account, connection.state.device = account, device
    if is_next:
        await database.write(lambda c: use_next_token(c, account.id, device.number), account.id)


async def _open_with_key(connection: Requester, database: Database, key: str) -> None:
    account = await database.read(lambda c: key_account(c, key))
    if account is None:
        raise InvalidToken(_UNKNOWN_KEY)
    connection.state.account, connection.state.device = account, None


def header_token(connection: Requester) -> str:
    """The key or token of the headers, `Authorization: Bearer` before `X-API-Key`; "" where there is none."""
    scheme, _, token = connection.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return connection.headers.get("x-api-key", "").strip()


async def _open_with_api_key(connection: Requester, database: Database) -> None:
    query = connection.state.query = Query(connection.scope)
    try:
        connection.state.apikey = query.get("apikey")
    except InvalidParameter:
        raise InvalidApiKey(_UNKNOWN_KEY) from None
    key = connection.state.apikey or header_token(connection)
    if not key:
        raise MissingApiKey("Send the account's key as `Authorization: Bearer KEY` or as the parameter apikey.")
    account = await database.read(lambda c: key_account(c, key))
    if account is None:
        raise InvalidApiKey(_UNKNOWN_KEY)
    connection.state.account = account
