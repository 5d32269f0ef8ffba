"""`ringback account`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ringback.accounts import Account, create_account, delete_account, list_accounts, set_until
from ringback.cli.common import Format, FormatOption, fail, for_account, read, show, write
from ringback.db import Connection
from ringback.times import rfc3339

app = typer.Typer(help="Accounts: each has its own keys, phones and calls.", no_args_is_help=True)

COLUMNS = ("id", "name", "email", "until", "time_zone", "created_at")

Name = Annotated[str, typer.Argument(help="The account's name.", metavar="NAME")]
Until = Annotated[str, typer.Option(help="The last valid day (UTC), as YYYY-MM-DD; without it there is no end.")]


@app.command()
def create(
    name: Name,
    email: Annotated[str, typer.Option(help="Whom to write to.")] = "",
    until: Until = "",
    time_zone: Annotated[str, typer.Option(help="In which days and times are shown, as Europe/Paris.")] = "UTC",
) -> None:
    """Make an account."""
    account = write(lambda connection: create_account(connection, name, email=email, until=until, time_zone=time_zone))
    print(f"Made the account {account.name}.", file=sys.stderr)


@app.command("list")
def list_(format: FormatOption = Format.table) -> None:
    """List all accounts."""
    show([_row(account) for account in read(list_accounts)], COLUMNS, format)


@app.command("show")
def show_(name: Name, format: FormatOption = Format.table) -> None:
    """Show an account and how much it holds."""

    async def count(connection: Connection, account: Account) -> dict[str, Any]:
        rows = [
            await connection.fetch_one(f"select count(*) from {table} where account_id = $1", account.id)
            for table in HELD
        ]
        return {**_row(account), **{table: row[0] for table, row in zip(HELD, rows, strict=True) if row}}

    show([read(for_account(name, count))], (*COLUMNS, *HELD), format)


HELD = ("keys", "devices", "calls", "rejected")


@app.command("set-until")
def set_until_(
    name: Name,
    until: Annotated[str, typer.Argument(help="The last valid day (UTC), as YYYY-MM-DD, or `never`.", metavar="DAY")],
) -> None:
    """Set the last day on which the account's keys answer."""
    day = None if until == "never" else until
    write(for_account(name, lambda connection, account: set_until(connection, account.id, day)))


@app.command()
def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Delete an account with its keys, phones and calls, for ever."""
    if not yes and sys.stdin.isatty() and not typer.confirm(f"Delete the account {name} and all its calls?"):
        fail("Nothing was deleted.", 1)
    write(for_account(name, lambda connection, account: delete_account(connection, account.id)))


def _row(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "email": account.email,
        "until": account.date_limit.isoformat() if account.date_limit else None,
        "time_zone": account.time_zone,
        "created_at": rfc3339(account.created_ms),
    }
