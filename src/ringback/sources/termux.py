"""What `termux-call-log -l 0` printed, kept in a file. Its times are the phone's, without an offset.

Source: Termux:API 0.53 (CallLogAPI.java). The phone agent's reading of it serves here too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from ringback.agent.calllog import normalise
from ringback.sources.reading import FileDamaged, FileRefused, Options, SourceFile, SourceRow, json_items, read_head

NAME: Final = "termux"
ROWS_TOGETHER: Final = 20_000
"""Rows whose order decides between the two instants of a repeated hour; no phone's log is longer."""


def recognises(head: str) -> bool:
    """Whether a file that begins so is of this kind; so is the error that Termux:API prints in place of a log."""
    head = head.lstrip()
    return (head.startswith("[") and '"phone_number"' in head) or (head.startswith("{") and '"error"' in head[:40])


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of a log. Raises FileRefused, FileDamaged."""
    with file.open() as opened:
        if read_head(opened).lstrip().startswith("{"):
            raise FileRefused("it holds an error of Termux:API, no calls; allow it to read the call log and try again")

    def offset(second: int) -> int:
        found = datetime.fromtimestamp(second, options.time_zone).utcoffset()
        return int(found.total_seconds()) if found else 0

    with file.open() as opened:
        items = enumerate(json_items(opened), 1)
        damage: FileDamaged | None = None
        while True:
            together: list[tuple[int, Any]] = []
            try:
                together.extend(islice(items, ROWS_TOGETHER))
            except FileDamaged as found:
                damage = found
            yield from _together(together, offset)
            if damage:
                raise damage
            if not together:
                return


def _together(items: list[tuple[int, Any]], offset: Callable[[int], int]) -> Iterator[SourceRow]:
    yield from (SourceRow(place, item, item) for place, item in items if not isinstance(item, dict))
    rows = [(place, item) for place, item in items if isinstance(item, dict)]
    normal = normalise([item for _, item in rows], int(time.time()), offset)
    for (place, item), row in zip(rows, normal, strict=True):
        yield SourceRow(place, item, row.report)
