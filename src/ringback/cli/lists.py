"""`ringback list`: the three lists as the API answers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import typer

from ringback.accounts import Account, find_account
from ringback.calls.listing import Call, CallPage, MissedCall, MissedPage, call_page, missed_page
from ringback.cli.common import AccountName, Format, FormatOption, show, with_database
from ringback.db import Database
from ringback.text import trim

app = typer.Typer(help="The lists of missed, incoming and outgoing calls.", no_args_is_help=True)

Limit = Annotated[str, typer.Option(help="Rows of the page.", metavar="N")]
Offset = Annotated[str, typer.Option(help="The first row of the page, from 0 on.", metavar="N")]
Moment = Annotated[str, typer.Option(help="Milliseconds since 1970, UTC.", metavar="MS")]


FOR_PEOPLE = ("phone_number", "cached_name", "call_datetime_utc", "duration_sec", "geo_location")
"""The columns of a table, which must fit a terminal."""


class _Given(dict[str, str]):
    """The options as the API's parameters: trimmed, an empty one is absent."""

    def __init__(self, **options: str) -> None:
        super().__init__({name: trim(value) for name, value in options.items() if trim(value)})


@app.command()
def missed(
    account: AccountName,
    limit: Limit = "",
    offset: Offset = "",
    search: Annotated[str, typer.Option(help="A part of a number or name.")] = "",
    date_start: Annotated[str, typer.Option(help="From this day on, as YYYY-MM-DD.")] = "",
    date_end: Annotated[str, typer.Option(help="To the end of this day.")] = "",
    include: Annotated[str, typer.Option(help="Also `rejected`, `blocked`, separated by commas.")] = "",
    format: FormatOption = Format.table,
) -> None:
    """List missed calls, newest first."""
    given = _Given(limit=limit, offset=offset, search=search, date_start=date_start, date_end=date_end, include=include)

    async def page(database: Database) -> MissedPage:
        return await missed_page(database, await _account(database, account), given)

    found = with_database(page)
    _show(found, found.data, MissedCall.__struct_fields__, format)


Text = Annotated[str, typer.Option(help="A part of a number or name.")]
SortBy = Annotated[str, typer.Option(help="The column to sort by; call_date_ms by default.", metavar="COLUMN")]
SortDir = Annotated[str, typer.Option(help="asc or desc.", metavar="DIRECTION")]


def _command(kind: str) -> Callable[..., None]:
    """The command of one of the two lists that take the same parameters."""

    def command(
        account: AccountName,
        limit: Limit = "",
        offset: Offset = "",
        q: Text = "",
        date_from_ms: Moment = "",
        date_to_ms: Moment = "",
        sort_by: SortBy = "",
        sort_dir: SortDir = "",
        format: FormatOption = Format.table,
    ) -> None:
        given = _Given(
            limit=limit, offset=offset, q=q, date_from_ms=date_from_ms, date_to_ms=date_to_ms, sort_by=sort_by,
            sort_dir=sort_dir,
        )  # fmt: skip

        async def page(database: Database) -> CallPage:
            return await call_page(database, await _account(database, account), kind, given, None)

        found = with_database(page)
        columns = FOR_PEOPLE if format == Format.table else Call.__struct_fields__
        _show(found, found.rows, columns, format)

    return command


app.command("incoming", help="List incoming calls that were answered.")(_command("incoming"))
app.command("outgoing", help="List outgoing calls, also those that nobody answered.")(_command("outgoing"))


async def _account(database: Database, name: str) -> Account:
    return await database.read(lambda connection: find_account(connection, name))


def _show(page: MissedPage | CallPage, rows: Sequence[Any], columns: tuple[str, ...], format: Format) -> None:
    if format == Format.json:
        print(msgspec.json.encode(page).decode())
    else:
        show([msgspec.structs.asdict(row) for row in rows], columns, format)
