"""`ringback member`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ringback.accounts import Account
from ringback.cli.common import AccountName, Format, FormatOption, for_account, read, show, write
from ringback.db import Connection
from ringback.errors import NotFound
from ringback.links import local_url
from ringback.members import create_reset, find_person, invite, list_members, remove_member
from ringback.times import rfc3339

app = typer.Typer(help="People who sign in to see an account's calls.", no_args_is_help=True)

COLUMNS = ("email", "role", "two_factor", "since")
Email = Annotated[str, typer.Argument(help="The person's e-mail address.", metavar="EMAIL")]


class Role(StrEnum):
    """What a member may do; each may do what the ones before it may."""

    viewer = "viewer"
    member = "member"
    manager = "manager"
    owner = "owner"


@app.command("invite")
def invite_(
    account: AccountName,
    email: Email,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.viewer,
) -> None:
    """Print a link, good once and for 7 days, by which a person becomes a member."""

    async def make(connection: Connection, found: Account) -> str:
        return f"{await local_url(connection)}/invite/{await invite(connection, found.id, email, role)}"

    print(write(for_account(account, make)))


@app.command("list")
def list_(account: AccountName, format: FormatOption = Format.table) -> None:
    """List the account's members."""
    members = read(for_account(account, lambda connection, found: list_members(connection, found.id)))
    rows = [
        {"email": one.email, "role": one.role, "two_factor": one.has_totp, "since": rfc3339(one.created_ms)}
        for one in members
    ]
    show(rows, COLUMNS, format)


@app.command()
def reset(account: AccountName, email: Email) -> None:
    """Print a link, good once and for an hour, by which a member chooses a new password."""

    async def make(connection: Connection, found: Account) -> str:
        await _member(connection, found, email)
        return f"{await local_url(connection)}/reset/{await create_reset(connection, email)}"

    print(write(for_account(account, make)))


@app.command()
def remove(account: AccountName, email: Email) -> None:
    """End a membership, and the person's sessions in the account."""

    async def end(connection: Connection, found: Account) -> None:
        await remove_member(connection, found.id, await _member(connection, found, email))

    write(for_account(account, end))


async def _member(connection: Connection, account: Account, email: str) -> int:
    person = await find_person(connection, email)
    if person is None or person.id not in {member.person_id for member in await list_members(connection, account.id)}:
        raise NotFound("The account has no such member; `ringback member list` shows them.")
    return person.id
