"""`ringback import` and `ringback imports`."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ringback.accounts import Account, check_name, find_account
from ringback.calls.store import STATUSES
from ringback.cli.common import AccountName, Format, FormatOption, for_account, read, show, show_progress, with_database
from ringback.db import Database
from ringback.errors import InvalidParameter
from ringback.ids import IMPORT, make_id
from ringback.imports import (
    MOST_REJECTED_KEPT,
    Import,
    StagedFile,
    begin_import,
    find_import,
    find_import_and_rejected,
    import_file,
    list_imports,
    without_companions,
)
from ringback.sources.reading import FileRefused, Options
from ringback.sources.tables import check_columns
from ringback.times import utc_text, zone


class FileFormat(StrEnum):
    """What `--format` may be: the names of SOURCES, and to look at the content."""

    auto = "auto"
    sms_backup_restore = "sms_backup_restore"
    sms_import_export = "sms_import_export"
    adb = "adb"
    termux = "termux"
    takeout = "takeout"
    ios = "ios"
    csv = "csv"
    jsonl = "jsonl"


SAMPLE_ROWS = 10

app = typer.Typer(help="What became of imported files.", invoke_without_command=True)


def import_(
    files: Annotated[list[Path], typer.Argument(help="Backup files of calls, ZIPs or folders.", metavar="FILE...")],
    account: AccountName,
    device: Annotated[
        str, typer.Option(help="Whose calls they are; made where new. Without it: the account's only device.")
    ] = "",
    format: Annotated[FileFormat, typer.Option(help="What kind of files they are.")] = FileFormat.auto,
    time_zone: Annotated[
        str, typer.Option(help="The zone of times without an offset; the account's by default.", metavar="ZONE")
    ] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(help="Which header of a table stands over what, such as started_at=When.", metavar="FIELD=HEADER"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be read.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Tell webhooks of all calls; without it, of those of the last week alone.")
    ] = False,
) -> None:
    """Bring the calls of backup files in. A file can be imported again: each call stays one."""
    found = read(lambda connection: find_account(connection, account))
    columns = _columns(column or [])
    options = Options(zone(time_zone or found.time_zone), columns)
    device = check_name(device, "A device's name") if device else ""
    whole = True
    for file in without_companions(files):
        chosen = None if format == FileFormat.auto else format.value
        if dry_run:
            whole = _show_file(file, chosen, options, device) and whole
        else:
            whole = _import_file(file, found, chosen, options, device, events) and whole
    if not whole:
        sys.exit(1)


def _columns(given: list[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    if not all(mark and header.strip() for _, mark, header in pairs):
        raise InvalidParameter("--column takes FIELD=HEADER, such as --column started_at=When.")
    columns = {field.strip(): header for field, _, header in pairs}
    check_columns(columns)
    return columns


def _say(file: Path, sentence: str) -> None:
    print(f"ringback: {file}: {sentence}.", file=sys.stderr)


def _import_file(file: Path, account: Account, format: str | None, options: Options, device: str, events: bool) -> bool:
    """Whether every row of the file was taken."""
    begun: list[int] = []

    async def bring_in(database: Database) -> Import:
        begun.append(await begin_import(database, account.id, file.name))
        with show_progress(file.name) as advance:
            return await import_file(
                database, account.id, file, options, number=begun[0], device=device, format=format, progress=advance,
                tell_all=events,
            )  # fmt: skip

    try:
        found = with_database(bring_in)
    except KeyboardInterrupt:
        if begun:
            id = make_id(IMPORT, account.id, begun[0])
            _show_counts(file, read(lambda connection: find_import(connection, account.id, id)))
        print(f"ringback: {file}: interrupted; run it again for the rest.", file=sys.stderr)
        raise
    if found.state == "refused":
        _say(file, f"nothing was taken: {found.damage}")
        return False
    _show_counts(file, found)
    for sentence in filter(None, (found.damage, found.warning)):
        _say(file, sentence)
    if found.rejected:
        print(
            f"ringback: `ringback imports show {found.id} --account {account.name}` shows what was rejected.",
            file=sys.stderr,
        )
    return found.is_whole


def _show_counts(file: Path, found: Import) -> None:
    print(f"{file}: " + ", ".join(f"{getattr(found, name)} {name}" for name in STATUSES))


def _show_file(file: Path, format: str | None, options: Options, device: str) -> bool:
    """Show what would be read of a file; whether all of it."""
    size = file.stat().st_size if file.is_file() else 0
    try:
        with show_progress(file.name) as advance:
            staged = StagedFile(file, format, options, lambda position: advance("reading", position, size), device)
    except FileRefused as error:
        _say(file, f"nothing was taken: {error.detail}")
        return False
    print(f"{file}: {staged.count} readable, {staged.rejected_count} rejected; nothing was stored")
    rows = [
        {
            "started_at": utc_text(report.date_ms),
            "kind": report.type,
            "number": report.number,
            "name": report.cached_name,
            "duration_sec": report.duration_sec,
        }
        for _, report in islice(staged.reports(), SAMPLE_ROWS)
    ]
    if rows:
        show(rows, tuple(rows[0]), Format.table)
    for _, bad in staged.rejected[:SAMPLE_ROWS]:
        print(f"row {bad.place}: {bad.error}")
    for sentence in (*staged.damages, *staged.warnings):
        _say(file, sentence)
    staged.close()
    return not (staged.damages or staged.rejected_count)


FOR_PEOPLE = ("id", "name", "state", "started", "created", "updated", "duplicate", "rejected")
"""The columns of a table, which must fit a terminal."""


@app.callback()
def list_(
    context: typer.Context,
    account: AccountName = "",
    format: FormatOption = Format.table,
) -> None:
    """List what became of imported files, newest first."""
    if context.invoked_subcommand is None:
        if not account:
            raise InvalidParameter("Name the account with --account.")
        found = read(for_account(account, lambda connection, one: list_imports(connection, one.id)))
        rows = [msgspec.structs.asdict(one) for one in found]
        if format == Format.table:
            rows = [row | {"started": utc_text(row["started_ms"])} for row in rows]
        show(rows, FOR_PEOPLE if format == Format.table else Import.__struct_fields__, format)


@app.command("show")
def show_(
    id: Annotated[str, typer.Argument(help="The import's id.")],
    account: AccountName,
    format: FormatOption = Format.table,
) -> None:
    """Show what became of one file, and the rows of it that were rejected."""

    one, rejected = read(
        for_account(account, lambda c, owner: find_import_and_rejected(c, owner.id, id, MOST_REJECTED_KEPT))
    )
    rows = [{"place": bad.place, "error": bad.error, "report": bad.report} for bad in rejected]
    if format == Format.json:
        print(msgspec.json.encode(msgspec.structs.asdict(one) | {"rejected_rows": rows}).decode())
        return
    if format == Format.table:
        for name in Import.__struct_fields__:
            value = getattr(one, name)
            if value is not None:
                print(f"{name.replace('_', ' ')}: {value}")
    if rows or format == Format.csv:
        show(
            [{**row, "report": bytes(bad.report).decode()} for row, bad in zip(rows, rejected, strict=True)],
            ("place", "error", "report"),
            format,
        )
