"""`ringback key`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringback.cli.common import AccountName, Format, FormatOption, for_account, read, show, write
from ringback.keys import Key, create_key, list_keys, revoke_key
from ringback.times import rfc3339

app = typer.Typer(help="API keys, with which programs read an account's calls.", no_args_is_help=True)

COLUMNS = ("id", "name", "created_at", "last_used_at", "revoked_at")


@app.command()
def create(account: AccountName, name: Annotated[str, typer.Option(help="What it is for.")] = "key") -> None:
    """Make a key and print it. It can't be shown again."""
    print(write(for_account(account, lambda connection, found: create_key(connection, found.id, name))))


@app.command("list")
def list_(account: AccountName, format: FormatOption = Format.table) -> None:
    """List the account's keys."""
    keys = read(for_account(account, lambda connection, found: list_keys(connection, found.id)))
    show([_row(key) for key in keys], COLUMNS, format)


@app.command()
def revoke(id: Annotated[str, typer.Argument(help="The key's id, as `key list` shows it.", metavar="ID")]) -> None:
    """End a key for ever."""
    write(lambda connection: revoke_key(connection, id))


def _row(key: Key) -> dict[str, Any]:
    moments = {"created_at": key.created_ms, "last_used_at": key.last_used_ms, "revoked_at": key.revoked_ms}
    shown = {name: None if ms is None else rfc3339(ms) for name, ms in moments.items()}
    return {"id": key.id, "name": key.name, **shown}
