"""`ringback import`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ringback.accounts import Account
from ringback.cli.common import AccountName, Format, for_account, read, show, with_database
from ringback.db import Connection, Database
from ringback.devices import import_device, import_device_name
from ringback.imports import StagedFile, store_file
from ringback.sources.reading import FileRefused
from ringback.times import utc_text


class FileFormat(StrEnum):
    """What `--format` may be: the names of SOURCES, and to look at the content."""

    auto = "auto"
    sms_backup_restore = "sms_backup_restore"


STATUSES = ("created", "updated", "duplicate", "withheld", "rejected")
SAMPLE_ROWS = 10


def import_(
    files: Annotated[list[Path], typer.Argument(help="Backup files of calls.", metavar="FILE...")],
    account: AccountName,
    device: Annotated[
        str, typer.Option(help="Whose calls they are; made where new. Without it: the account's only device.")
    ] = "",
    format: Annotated[FileFormat, typer.Option(help="What kind of files they are.")] = FileFormat.auto,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be read.")] = False,
) -> None:
    """Bring the calls of backup files in. A file can be imported again: each call stays one."""
    name = read(for_account(account, lambda connection, found: import_device_name(connection, found.id, device)))
    whole = True
    for file in files:
        whole = (
            _import_file(file, account, name, None if format == FileFormat.auto else format.value, dry_run) and whole
        )
    if not whole:
        sys.exit(1)


def _import_file(file: Path, account: str, device: str, format: str | None, dry_run: bool) -> bool:
    """Whether every row of the file was taken."""
    try:
        size = file.stat().st_size if file.is_file() else 0
        with _progress(f"Reading {file.name}", size) as advance:
            staged = StagedFile(file, format, lambda position: advance(position))
    except FileRefused as error:
        print(f"ringback: {file}: nothing was taken: {error.detail}.", file=sys.stderr)
        return False
    try:
        if dry_run:
            _show_sample(file, staged)
        else:
            _store(file, account, device, staged)
    finally:
        staged.close()
    if staged.damage:
        print(f"ringback: {file}: {staged.damage}.", file=sys.stderr)
    if staged.rejected_count and not dry_run:
        print(f"ringback: `ringback device rejected --account {account}` shows what was rejected.", file=sys.stderr)
    return not (staged.damage or staged.rejected_count)


def _store(file: Path, account: str, device: str, staged: StagedFile) -> None:
    counts: Counter[str] = Counter()

    async def store(database: Database) -> None:
        async def prepare(connection: Connection, found: Account) -> tuple[int, int]:
            return found.id, (await import_device(connection, found.id, device)).number

        account_id, number = await database.write(for_account(account, prepare))
        with _progress(f"Storing {file.name}", staged.count) as advance:
            stored = 0

            def on_stored(rows: int) -> None:
                nonlocal stored
                stored += rows
                advance(stored)

            await store_file(database, account_id, number, staged, counts, on_stored)

    try:
        with_database(store)
    except KeyboardInterrupt:
        print(f"ringback: {file}: interrupted; run it again for the rest.", file=sys.stderr)
        raise
    finally:
        print(f"{file}: " + ", ".join(f"{counts[status]} {status}" for status in STATUSES))


def _show_sample(file: Path, staged: StagedFile) -> None:
    print(f"{file}: {staged.count} readable, {staged.rejected_count} rejected; nothing was stored")
    rows = [
        {
            "started_at": utc_text(report.date_ms),
            "kind": report.type,
            "number": report.number,
            "name": report.cached_name,
            "duration_sec": report.duration_sec,
        }
        for report in islice(staged.reports(), SAMPLE_ROWS)
    ]
    if rows:
        show(rows, tuple(rows[0]), Format.table)
    for bad in staged.rejected[:SAMPLE_ROWS]:
        print(f"row {bad.place}: {bad.error}")


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; what is yielded takes how much is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total or None)
        yield lambda done: progress.update(task, completed=done)
