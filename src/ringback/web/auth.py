"""Who may ask: closed by default. A route says in `opt` what opens it; a route that says nothing is refused."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from ringback.accounts import Account, check_not_expired
from ringback.db import Database
from ringback.devices import PREFIX as DEVICE_PREFIX
from ringback.devices import token_device, use_next_token
from ringback.errors import Forbidden, InvalidApiKey, InvalidParameter, InvalidToken, MissingApiKey, RingbackError
from ringback.keys import USE_MS, key_account, note_use
from ringback.members import may
from ringback.sessions import TOUCH_MS, find_session, touch_session
from ringback.settings import Network
from ringback.times import now_ms
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
FORM: Final = {"access": "form"}
"""Anybody, but from a page of our own."""
SESSION_COOKIE: Final = "ringback_session"


def session(role: str) -> dict[str, str]:
    """Whoever signed in and has at least the role: `state.session` and `state.account` are set."""
    return {"access": "session", "role": role}


class SignInNeeded(RingbackError):
    """There is no session, or it has ended."""

    code, status = "invalid_token", 401


_UNKNOWN_KEY: Final = "The key is unknown or revoked; make a new one with `ringback key create`."

Requester = ASGIConnection[Any, Any, Any, Any]


async def guard(connection: Requester, handler: BaseRouteHandler) -> None:
    """Let the request through if it may. Raises InvalidToken, InvalidApiKey, MissingApiKey, ApiExpired."""
    access = handler.opt.get("access")
    if access == "public" or connection.scope.get("method") == "OPTIONS":
        return
    database: Database = connection.app.state.database
    token = header_token(connection)
    is_device = token.startswith(DEVICE_PREFIX)
    if access == "form":
        check_origin(connection)
    elif access == "session":
        await _open_with_session(connection, database, handler.opt["role"])
    elif access in ("api_key", "api_key_for_ever"):
        await _open_with_api_key(connection, database, token, check_expiry=access == "api_key")
    elif is_device and access in ("token", "token_or_key"):
        await _open_with_token(connection, database, token)
    elif token and not is_device and access in ("key", "token_or_key"):
        await _open_with_key(connection, database, token)
    elif not token and access in ("key", "token_or_key") and SESSION_COOKIE in connection.cookies:
        await _open_with_session(connection, database, "viewer" if _reads(connection) else "manager")
        connection.state.device = None
    else:
        raise InvalidToken("Send a device's token or an account's key, whichever belongs here, as a Bearer token.")


def _reads(connection: Requester) -> bool:
    return connection.scope.get("method") in ("GET", "HEAD")


async def _open_with_session(connection: Requester, database: Database, role: str) -> None:
    """Let a member with the role through. Raises SignInNeeded, Forbidden."""
    secret = connection.cookies.get(SESSION_COOKIE, "")
    found = await database.read(lambda c: find_session(c, secret)) if secret else None
    if found is None or not found.verified:
        raise SignInNeeded("Sign in first, or send an account's key as a Bearer token.")
    check_origin(connection)
    if not may(found.role, role):
        raise Forbidden("Your role in this account does not allow this; ask one of its owners.")
    if found.last_seen_ms < now_ms() - TOUCH_MS:
        await database.write(lambda c: touch_session(c, found.id))
    connection.state.session, connection.state.account = found, found.account


def check_origin(connection: Requester) -> None:
    """Raise Forbidden where a change is not asked for by a page of our own: another site could have sent it."""
    if _reads(connection):
        return
    origin = connection.headers.get("origin", "").lower()
    scheme, _, host = origin.partition("://")
    public = urlsplit(connection.app.state.settings.public_url.lower())
    is_here = scheme in ("http", "https") and host == connection.headers.get("host", "").lower() != ""
    if not is_here and origin != f"{public.scheme}://{public.netloc}":
        raise Forbidden("This was not sent by a page of this server; open the page anew and try again.")


def client_address(request: Requester, trusted: tuple[Network, ...]) -> str:
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


def is_from_proxy(request: Requester, trusted: tuple[Network, ...]) -> bool:
    """Whether a request came through a proxy whose headers are believed."""
    try:
        peer = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return any(peer in network for network in trusted if network.version == peer.version)


async def _open_with_token(connection: Requester, database: Database, token: str) -> None:
    found = await database.read(lambda c: token_device(c, token))
    if found is None:
        raise InvalidToken("The token is unknown or revoked; pair the phone again.")
    account, device, is_next = found
    connection.state.account, connection.state.device = account, device
    if is_next:
        await database.write(lambda c: use_next_token(c, account.id, device.number), account.id)


async def _open_with_key(connection: Requester, database: Database, key: str) -> None:
    account = await _find_account(database, key)
    if account is None:
        raise InvalidToken(_UNKNOWN_KEY)
    connection.state.account, connection.state.device = account, None


async def _find_account(database: Database, key: str) -> Account | None:
    """The account of a key, whose use is noted."""
    found = await database.read(lambda c: key_account(c, key))
    if found is None:
        return None
    account, number, last_used_ms = found
    if last_used_ms is None or last_used_ms < now_ms() - USE_MS:
        await database.write(lambda c: note_use(c, account.id, number), account.id)
    return account


def header_token(connection: Requester) -> str:
    """The key or token of the headers, `Authorization: Bearer` before `X-API-Key`; "" where there is none."""
    scheme, _, token = connection.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return connection.headers.get("x-api-key", "").strip()


async def _open_with_api_key(connection: Requester, database: Database, token: str, *, check_expiry: bool) -> None:
    state = connection.state  # made anew each time that it is asked for
    state.query = Query(connection.scope)
    try:
        state.apikey = state.query.get("apikey")
    except InvalidParameter:
        raise InvalidApiKey(_UNKNOWN_KEY) from None
    key = state.apikey or token
    if not key:
        raise MissingApiKey("Send the account's key as `Authorization: Bearer KEY` or as the parameter apikey.")
    account = await _find_account(database, key)
    if account is None:
        raise InvalidApiKey(_UNKNOWN_KEY)
    if check_expiry:
        check_not_expired(account)
    state.account = account
