"""`ringback device`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from ringback.accounts import Account
from ringback.calls.rejected import Rejected, list_rejected, rejected_number
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
from ringback.links import install_command, pairing_link, public_url
from ringback.pairing import Code, create_code
from ringback.proof import close_gap, list_gaps
from ringback.times import rfc3339

app = typer.Typer(help="Phones, and what the calls of backup files belong to.", no_args_is_help=True)

FOR_PEOPLE = ("name", "status", "battery", "last_seen", "synced_through", "open_gaps")
"""The columns of a table, which must fit a terminal."""

PAGE = 500
COLUMNS = ("id", "name", "status", "battery", "outbox", "last_seen", "synced_through", "open_gaps")

DeviceName = Annotated[str, typer.Option("--name", help="The device's name.", metavar="NAME")]


@app.command()
def create(account: AccountName, name: DeviceName) -> None:
    """Make a device and print its token. It can't be shown again."""

    async def make(connection: Connection, found: Account) -> str:
        device = await create_device(connection, found.id, name)
        return await create_device_token(connection, found.id, device.number)

    print(write(for_account(account, make)))


class PairFormat(StrEnum):
    """How a pairing code is shown."""

    text = "text"
    json = "json"


@app.command()
def pair(
    account: AccountName,
    name: DeviceName,
    new: Annotated[
        bool, typer.Option("--new", help="A phone of its own, even where the account has imported calls alone.")
    ] = False,
    format: Annotated[PairFormat, typer.Option("--format", help="For people, or JSON for programs.")] = PairFormat.text,
) -> None:
    """Make a code with which a phone pairs, good once and for 5 minutes. A name that exists is the same phone again."""

    async def make(connection: Connection, found: Account) -> tuple[str, Code]:
        return await public_url(connection), await create_code(connection, found.id, name, new_device=new)

    url, code = write(for_account(account, make))
    link, expires_at = pairing_link(url, code.code), rfc3339(code.expires_ms)
    if format == PairFormat.json:
        print(json.dumps({"link": link, "code": code.code, "expires_at": expires_at}))
        return
    import segno  # slow to load, and no other command needs it

    segno.make(link, micro=False).terminal(compact=True, border=2)
    print(f"Open this with the phone's camera, or type it into its browser:\n  {link}")
    print(f"Or paste this into Termux on the phone:\n  {install_command(url, code.code)}")
    print(f"The code {code.code} is good once, until {expires_at}. docs/phones.md has each step.")


@app.command("list")
def list_(account: AccountName, format: FormatOption = Format.table) -> None:
    """List the account's devices."""

    async def collect(connection: Connection, found: Account) -> list[dict[str, Any]]:
        gaps = await list_gaps(connection, found.id)
        return [device.to_dict(gaps.get(device.number, [])) for device in await list_devices(connection, found.id)]

    devices = read(for_account(account, collect))
    if format != Format.json:
        devices = [{**one, "open_gaps": sum(gap["closed_at"] is None for gap in one["gaps"])} for one in devices]
    if format == Format.table:
        devices = [{**one, **{name: _short(one[name]) for name in ("last_seen", "synced_through")}} for one in devices]
    show(devices, FOR_PEOPLE if format == Format.table else COLUMNS, format)


def _short(moment: str | None) -> str | None:
    """A moment to the second, for tables."""
    return moment and moment[:19].replace("T", " ")


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
        while page := await list_rejected(connection, found.id, device, rejected_number(rows[-1]) if rows else 0, PAGE):
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


gaps = typer.Typer(help="Stretches for which nobody can vouch that a phone's calls are all here.", no_args_is_help=True)
app.add_typer(gaps, name="gap")

GAP_COLUMNS = ("id", "device", "from", "to", "closed_at")


@gaps.command("list")
def list_gaps_(account: AccountName, format: FormatOption = Format.table) -> None:
    """List the gaps of all devices, closed ones too."""

    async def collect(connection: Connection, found: Account) -> list[dict[str, Any]]:
        gaps = await list_gaps(connection, found.id)
        devices = await list_devices(connection, found.id)
        return [{**gap, "device": device.name} for device in devices for gap in gaps.get(device.number, [])]

    show(read(for_account(account, collect)), GAP_COLUMNS, format)


@gaps.command("close")
def close_gap_(
    account: AccountName, id: Annotated[str, typer.Argument(help="The gap's id, as `gap list` shows it.", metavar="ID")]
) -> None:
    """Close a gap, when its calls are here or will never be."""
    write(for_account(account, lambda connection, found: close_gap(connection, found.id, id)))
