"""`ringback follow`."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ringback.accounts import find_account
from ringback.calls.changes import changes_after
from ringback.cli.common import AccountName, with_database
from ringback.db import Database
from ringback.errors import InvalidParameter

CHANGES_AT_ONCE = 1_000
LOOK_SECONDS = 1
"""How often it is looked for changes where nobody tells of them."""


def follow(
    account: AccountName,
    state: Annotated[
        Path | None,
        typer.Option(help="Where to keep how far it came, so that it goes on from there.", metavar="FILE"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing more, in place of waiting.")] = False,
) -> None:
    """Print each change of the account's calls as a line of JSON, from the beginning on and then as they come."""
    with_database(lambda database: _follow(database, account, state, once=once))


async def _follow(database: Database, name: str, state: Path | None, *, once: bool) -> None:
    account = await database.read(lambda connection: find_account(connection, name))
    cursor = _read(state)
    woken = asyncio.Event()
    unlisten = database.listen(woken.set)
    try:
        while True:
            woken.clear()
            read_on = partial(changes_after, account_id=account.id, cursor=cursor, limit=CHANGES_AT_ONCE)
            found = await database.read_long(read_on)
            for change in found.changes:
                print(msgspec.json.encode(change).decode())
            # What is printed and not yet noted is printed again: rather twice than never.
            print(end="", flush=True)
            cursor = found.cursor
            _write(state, cursor)
            if found.has_more:
                continue
            if once:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), LOOK_SECONDS)
    finally:
        unlisten()


def _read(state: Path | None) -> str | None:
    try:
        return state.read_text("ascii").strip() or None if state else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise InvalidParameter("The file of --state can't be read; check its path and mode, or name another.") from None


def _write(state: Path | None, cursor: str) -> None:
    if state is None:
        return
    draft = state.with_name(f"{state.name}.new")
    try:
        with draft.open("w", encoding="ascii") as file:
            file.write(cursor + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(state)
    except OSError:
        raise InvalidParameter("The file of --state can't be written; check its folder, or name another.") from None
