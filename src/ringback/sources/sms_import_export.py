"""SMS Import/Export: one JSON array, each row an object with Android's columns as text; NULL columns are absent.

Source: github.com/tmo1/sms-ie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ringback.sources.android import PROVIDER, android_report, known_name, row_number
from ringback.sources.reading import Options, SourceFile, SourceRow, json_items

NAME: Final = "sms_import_export"


def recognises(head: str) -> bool:
    """Whether a file that begins so is of this kind."""
    head = head.lstrip()
    if not head.startswith("["):
        return False
    inside = head[1:].lstrip()
    return inside == "]" or (inside.startswith("{") and '"date"' in head and '"number"' in head)


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of a file. Raises FileRefused, FileDamaged."""
    del options
    with file.open() as opened:
        for place, item in enumerate(json_items(opened), 1):
            if not isinstance(item, dict):
                yield SourceRow(place, item, item)
                continue
            row = {name: _text(value) for name, value in item.items() if value is not None}
            row["name"] = known_name(row.get("name")) or row.get("display_name") or row.get("display-name") or ""
            yield SourceRow(place, item, android_report(row, PROVIDER), row_number(row))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
