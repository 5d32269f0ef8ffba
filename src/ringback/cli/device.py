"""`ringback device`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.accounts import Account
from ringback.calls.rejected import Rejected, list_rejected
from ringback.cli.common import AccountName, Format, FormatOption, for_account, read, show, write
from ringback.db import Connection
from ringback.devices import (
    create_device,
    create_device_token,
    find_device,
    list_devices,
    rename_device,
    revoke_device,
)

app = typer.Typer(help="Phones, and what the calls of backup files belong to.", no_args_is_help=True)

PAGE = 500
COLUMNS = ("id", "name", "status", "last_seen")

DeviceName = Annotated[str, typer.Option("--name", help="The device's name.", metavar="NAME")]


@app.command()
def create(account: AccountName, name: DeviceName) -> None:
    """Make a device and print its token. It can't be shown again."""

    async def make(connection: Connection, found: Account) -> str:
        device = await create_device(connection, found.id, name)
        return await create_device_token(connection, found.id, device.number)

    print(write(for_account(account, make)))


@app.command("list")
def list_(account: AccountName, format: FormatOption = Format.table) -> None:
    """List the account's devices."""
    devices = read(for_account(account, lambda connection, found: list_devices(connection, found.id)))
    show([device.to_dict() for device in devices], COLUMNS, format)


@app.command()
def rejected(
    account: AccountName,
    name: Annotated[str, typer.Option("--name", help="Of this device alone.", metavar="NAME")] = "",
    format: FormatOption = Format.table,
) -> None:
    """Show the reports that could not be taken, and why."""

    async def collect(connection: Connection, found: Account) -> list[Rejected]:
        device = (await find_device(connection, found.id, name)).number if name else None
        rows: list[Rejected] = []
        while page := await list_rejected(connection, found.id, device, int(rows[-1].id[1:]) if rows else 0, PAGE):
            rows += page
        return rows

    columns = Rejected.__struct_fields__
    rows = [{name: getattr(row, name) for name in columns} for row in read(for_account(account, collect))]
    if format != Format.json:
        rows = [row | {"report": bytes(row["report"]).decode()} for row in rows]
    show(rows, columns, format)


@app.command()
def rename(
    account: AccountName,
    name: DeviceName,
    new_name: Annotated[str, typer.Argument(help="Its new name.", metavar="NEW_NAME")],
) -> None:
    """Give a device another name."""
    write(for_account(account, lambda connection, found: rename_device(connection, found.id, name, new_name)))


@app.command()
def revoke(account: AccountName, name: DeviceName) -> None:
    """End a device's token for ever; its calls stay."""
    write(for_account(account, lambda connection, found: revoke_device(connection, found.id, name)))
