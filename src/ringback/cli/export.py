"""`ringback export`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from ringback.accounts import find_account
from ringback.calls.export import export_calls
from ringback.calls.query import CallQuery
from ringback.cli.common import AccountName, fail, show_progress, with_database
from ringback.db import Database


class ExportFormat(StrEnum):
    """What calls can go out as."""

    csv = "csv"
    xlsx = "xlsx"
    jsonl = "jsonl"


class ListKind(StrEnum):
    """The lists of the API."""

    missed = "missed"
    incoming = "incoming"
    outgoing = "outgoing"


def export(
    account: AccountName,
    format: Annotated[ExportFormat, typer.Option(help="CSV, an Excel workbook, or JSON lines.")],
    kind: Annotated[ListKind | None, typer.Option(help="One list only; without it all calls.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; without it to stdout.", metavar="FILE")
    ] = None,
) -> None:
    """Take an account's calls out, oldest first. CSV and JSON lines can be imported again."""
    if output is None and format == ExportFormat.xlsx and sys.stdout.isatty():
        fail("A workbook is no text for a terminal; name a file with -o.", 2)

    async def run(database: Database) -> None:
        found = await database.read(lambda connection: find_account(connection, account))
        query = CallQuery(found.id, [kind.value] if kind else [])
        with _opened(output) as out, show_progress() as advance:
            on_rows = (lambda done: advance("exporting", done, 0)) if output else None
            async for piece in export_calls(database, query, format.value, on_rows=on_rows):
                out.write(piece)

    try:
        with_database(run)
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"The export can't be written ({error.strerror or 'output error'}); choose another place with -o.", 1)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Where the export goes. A file has its name when it is whole, and not before."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not output.is_file() and output.exists():  # a pipe or a terminal
        with output.open("wb") as opened:
            yield opened
        return
    unfinished = output.with_name(f"{output.name}.unfinished")
    try:
        with unfinished.open("wb") as opened:
            yield opened
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
