"""Cursors: places in a list that a client hands back. They name their purpose, account, history and position."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from ringback.db import Connection
from ringback.errors import CursorExpired, InvalidParameter

_CHECK_BYTES: Final = 16
_FORM: Final = re.compile(rb"([a-z0-9_.]+):([0-9]{1,18}):([0-9a-f]+):([0-9]{1,18}(?:,[0-9]{1,18})*)")


async def make_cursor(connection: Connection, purpose: str, account_id: int, *position: int) -> str:
    """The cursor of a position, with a check value against made-up ones."""
    history, secret = await _installation(connection)
    return _cursor(secret, f"{purpose}:{account_id}:{history}:{','.join(map(str, position))}".encode())


def _cursor(secret: str, named: bytes) -> str:
    return base64.urlsafe_b64encode(_check_value(secret, named) + named).decode().rstrip("=")


async def cursor_maker(connection: Connection, purpose: str, account_id: int) -> Callable[[int], str]:
    """What makes cursors of one list, for whoever needs many of them."""
    history, secret = await _installation(connection)
    return lambda position: _cursor(secret, f"{purpose}:{account_id}:{history}:{position}".encode())


async def read_cursor(
    connection: Connection, purpose: str, account_id: int, cursor: str, newest: int | None = None
) -> tuple[int, ...]:
    """The position of a cursor.

    Raises InvalidParameter where it was altered, made up or belongs elsewhere; CursorExpired where it is of another
    history or beyond `newest`, the last position there is, where the list has one.
    """
    history, secret = await _installation(connection)
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    named = raw[_CHECK_BYTES:]
    match = _FORM.fullmatch(named)
    genuine = hmac.compare_digest(raw[:_CHECK_BYTES], _check_value(secret, named))
    if not match or not genuine or (match[1].decode(), int(match[2])) != (purpose, account_id):
        raise InvalidParameter("cursor must be one that this list gave; leave it out to begin anew.")
    position = tuple(map(int, match[4].split(b",")))
    if match[3].decode() != history or (newest is not None and position[0] > newest):
        raise CursorExpired("The cursor is of another state of the database; leave it out to begin anew.")
    return position


async def _installation(connection: Connection) -> tuple[str, str]:
    row = await connection.fetch_one("select history, secret from installation")
    assert row is not None
    return row[0], row[1]


def _check_value(secret: str, named: bytes) -> bytes:
    return hmac.digest(secret.encode(), named, hashlib.sha256)[:_CHECK_BYTES]
