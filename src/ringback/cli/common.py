"""What commands share: settings, the database, what options mean, how results and errors are shown."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from ringback.accounts import Account, find_account
from ringback.db import Connection, Database, T, open_database
from ringback.settings import check_database_url, load_settings

DatabaseUrl = Annotated[
    str, typer.Option("--database", help="The database's address, instead of RINGBACK_DATABASE_URL.", metavar="URL")
]
AccountName = Annotated[str, typer.Option("--account", help="The account's name.", metavar="NAME")]


class Format(StrEnum):
    """How a command shows what it found: a table for people, JSON or CSV for programs."""

    table = "table"
    json = "json"
    csv = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="A table for people, JSON or CSV for programs.")]


def fail(sentence: str, code: int) -> NoReturn:
    """Say what is wrong and end the command."""
    print(f"ringback: {sentence}", file=sys.stderr)
    sys.exit(code)


def warn_unknown_settings() -> None:
    """Check the settings, and name those that may be misspelled."""
    for name in load_settings().unknown:
        print(f"ringback: {name} is no setting of Ringback; is it misspelled?", file=sys.stderr)


def database_url(given: str = "") -> str:
    """The address from `--database`, else from the settings."""
    if given:
        check_database_url(given, "--database")
    return given or load_settings().database_url


def with_database(work: Callable[[Database], Awaitable[T]], url: str = "") -> T:
    """Run work on the database, which is brought up to date and closed again."""

    async def run() -> T:
        database = await open_database(url or database_url())
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def read(work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run work that only reads."""
    return with_database(lambda database: database.read(work))


def write(work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run work in a transaction."""
    return with_database(lambda database: database.write(work))


def for_account(name: str, work: Callable[[Connection, Account], Awaitable[T]]) -> Callable[[Connection], Awaitable[T]]:
    """Work on an account, found by its name."""

    async def run(connection: Connection) -> T:
        return await work(connection, await find_account(connection, name))

    return run


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], format: Format) -> None:
    """Print rows on stdout. In a table and in CSV what is unknown is empty; in JSON it is null."""
    match format:
        case Format.json:
            print("[" + ",\n ".join(msgspec.json.encode(row).decode() for row in rows) + "]")
        case Format.csv:
            writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        case Format.table:
            table = Table(box=None, header_style="bold")
            for column in columns:
                table.add_column(column.replace("_", " "), overflow="fold")
            for row in rows:
                table.add_row(*("" if row[c] is None else _printable(str(row[c])) for c in columns))
            Console(markup=False, highlight=False, emoji=False).print(table)


@contextmanager
def show_progress(name: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars on a terminal, one for each kind of work: what is yielded takes it, how much is done, and of what.

    The last is 0 where it is not known.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(f"{what.capitalize()} {name}", total=total or None)
            progress.update(tasks[what], completed=done)

        yield advance


def _printable(text: str) -> str:
    """The text on one line, without characters that would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
