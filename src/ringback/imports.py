"""Backup files come in: read whole, their rows numbered, then stored through the same store as a phone's reports."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import apsw
import msgspec

from ringback.calls.contract import BadReport, CallReport, parse_report
from ringback.calls.matching import identify
from ringback.calls.store import take_in
from ringback.db import Database
from ringback.sources import read_file
from ringback.sources.reading import FileDamaged
from ringback.times import now_ms

ROWS_PER_COMMIT: Final = 2_000
PAUSE_SECONDS: Final = 0.005
"""Between commits, so that phones and readers of the same file come to their turn."""

MOST_REJECTED_KEPT: Final = 1_000

ANALYZE_AFTER: Final = (1_000, 10_000, 100_000)
"""Rows after which the database's planner is told how the tables have grown."""


class StagedFile:
    """A file's rows in a temporary database on disk, numbered, before anything is stored."""

    def __init__(self, path: Path, format: str | None, on_read: Callable[[int], None]) -> None:
        """Read the file. Raises FileRefused."""
        self.rejected: list[BadReport] = []
        """The first of the rows that can't be taken."""
        self.rejected_count = 0
        self.count = 0
        """Rows that can be taken."""
        self.damage = ""
        """What is wrong with the file as a whole."""
        self._rows = apsw.Connection("")
        self._rows.execute("pragma journal_mode=off; pragma synchronous=off")
        self._rows.execute("create table rows (place, direction, second, key_hash, date_ms, report)")
        with self._rows:
            try:
                self._fill(path, format, on_read)
            except FileDamaged as damage:
                self.damage = damage.detail

    def _fill(self, path: Path, format: str | None, on_read: Callable[[int], None]) -> None:
        at_ms = now_ms()
        encode = msgspec.msgpack.encode
        for place, raw, said in read_file(path, format, on_read):
            report = parse_report(said, at_ms, place)
            if isinstance(report, BadReport):
                self.rejected_count += 1
                if len(self.rejected) < MOST_REJECTED_KEPT:
                    self.rejected.append(BadReport(report.error, raw, place))
                continue
            self.count += 1
            direction, second, key_hash, _ = identify(report)
            row = (place, direction, second, key_hash, report.date_ms, encode(report))
            self._rows.execute("insert into rows values (?, ?, ?, ?, ?, ?)", row)

    def reports(self) -> Iterator[CallReport]:
        """The reports, oldest first, each with its number among equal rows."""
        sql = (
            "select report, row_number() over (partition by direction, second, key_hash order by date_ms, place) - 1"
            " from rows order by date_ms, place"
        )
        decoder = msgspec.msgpack.Decoder(CallReport)
        for report, occurrence in self._rows.execute(sql):
            yield msgspec.structs.replace(decoder.decode(report), occurrence=occurrence)

    def close(self) -> None:
        """Remove the temporary database."""
        self._rows.close()


async def store_file(
    database: Database,
    account_id: int,
    device_id: int,
    staged: StagedFile,
    counts: Counter[str],
    on_stored: Callable[[int], None],
) -> None:
    """Store a file's rows in whole batches, counting what became of them; `on_stored` is told of each batch's size.

    Interrupted, it leaves whole batches, and a second run finishes the rest.
    """
    reports, done = staged.reports(), 0
    while batch := list(islice(reports, ROWS_PER_COMMIT)):
        await _store(database, account_id, device_id, batch, counts)
        if any(done < rows <= done + len(batch) for rows in ANALYZE_AFTER):
            await database.analyze()
        done += len(batch)
        on_stored(len(batch))
        await asyncio.sleep(PAUSE_SECONDS)
    await _store(database, account_id, device_id, staged.rejected, counts)
    counts["rejected"] += staged.rejected_count - len(staged.rejected)


async def _store(
    database: Database, account_id: int, device_id: int, batch: list[CallReport] | list[BadReport], counts: Counter[str]
) -> None:
    results = await database.write(lambda c: take_in(c, account_id, device_id, batch, now_ms()), account_id)
    counts.update(result.status for result in results)
