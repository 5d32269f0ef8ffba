"""`/v1/events`: events as they come, as server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from litestar import Request, get
from litestar.datastructures import State
from litestar.response import Stream

from ringback.accounts import Account, check_not_expired
from ringback.cursors import cursor_maker, read_cursor
from ringback.db import Connection, Database
from ringback.errors import CursorExpired, RateLimited, RingbackError, Unavailable
from ringback.keys import key_account
from ringback.sessions import find_session
from ringback.streams import EVENTS_AT_ONCE, Channel, Event, Hub, events_after, last_change
from ringback.web.answers import NO_STORE
from ringback.web.auth import KEY, SESSION_COOKIE, header_token

PURPOSE: Final = "events"
RETRY_MS: Final = 3_000
"""After which a client that lost its stream asks again."""

BEAT_SECONDS: Final = 15


@get("/v1/events", opt=KEY)
async def events(request: Request[Any, Any, Any], state: State) -> Stream:
    """Events as they come; `Last-Event-ID` goes on after one."""
    account: Account = request.state.account
    check_not_expired(account)
    database: Database = state.database
    last = request.headers.get("last-event-id", "").strip()

    async def begin(connection: Connection) -> tuple[int, Callable[[int], str]]:
        newest = await last_change(connection, account.id)
        position = newest
        if last:
            (position,) = await read_cursor(connection, PURPOSE, account.id, last, newest)
            row = await connection.fetch_one("select forgotten_change from accounts where id = $1", account.id)
            if row and position < row[0]:
                raise CursorExpired("Events since then are no longer kept; catch up with /v1/changes, then begin anew.")
        return position, await cursor_maker(connection, PURPOSE, account.id)

    position, make = await database.read(begin)
    secret = header_token(request) or request.cookies.get(SESSION_COOKIE, "")
    key = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
    hub: Hub = state.hub
    hub.check(key)

    async def frames() -> AsyncIterator[bytes]:
        # Others may have come between: then this one ends at once.
        with suppress(RateLimited), hub.join(account.id, key, position) as channel:
            yield f"retry: {RETRY_MS}\n".encode() + (b"\n" if last else f"id: {make(position)}\n\n".encode())
            async for frame in _frames(hub, channel, database, account.id, position, make, request):
                yield frame

    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    return Stream(frames(), media_type="text/event-stream", headers=headers)


async def _frames(
    hub: Hub,
    channel: Channel,
    database: Database,
    account_id: int,
    position: int,
    make: Callable[[int], str],
    request: Request[Any, Any, Any],
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    beat = loop.time() + BEAT_SECONDS
    while not hub.is_stopping:
        woken = channel.woken
        found = channel.after(position)
        if found is None:
            read_on = partial(events_after, account_id=account_id, change=position, limit=EVENTS_AT_ONCE)
            found = await database.read(read_on)
        if found:
            yield b"".join(_frame(event, make) for event in found)
            position = found[-1].change
        elif position < channel.start:
            position = channel.start
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), max(0.0, beat - loop.time()))
        if loop.time() >= beat:
            beat = loop.time() + BEAT_SECONDS
            if not await _may_go_on(database, request):
                return
            yield b": still here\n\n"


def _frame(event: Event, make: Callable[[int], str]) -> bytes:
    return f"event: {event.type}\nid: {make(event.change)}\ndata: {event.body}\n\n".encode()


async def _may_go_on(database: Database, request: Request[Any, Any, Any]) -> bool:
    """Whether what opened the stream still opens it; where the database is away nobody knows, and it stays open."""
    token, secret = header_token(request), request.cookies.get(SESSION_COOKIE, "")
    try:
        if token:
            found = await database.read(lambda connection: key_account(connection, token))
            account = found[0] if found else None
        else:
            session = await database.read(lambda connection: find_session(connection, secret))
            account = session.account if session else None
        if account is None:
            return False
        check_not_expired(account)
    except RingbackError as error:
        return isinstance(error, Unavailable)
    return True
