"""Rows of Android's own table of calls, as backups copy them: columns by name, values as text.

Source: android.provider.CallLog.Calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ringback.calls.contract import KINDS, PRESENTATIONS
from ringback.text import trim

NO_NAMES: Final = frozenset(("", "null", "(Unknown)", "UNKNOWN_CALLER"))
"""What backups write where no name is known."""

HIDDEN_NUMBERS: Final = {"-1": "unknown", "-2": "restricted", "-3": "payphone"}
"""How Android before 4.4 wrote in the number that there is none to show."""

_KIND_NAMES: Final = {str(number): name for name, number in KINDS.items() if number}
_PRESENTATION_NAMES: Final = {str(number): name for name, number in PRESENTATIONS.items()}
_INTEGER: Final = re.compile("-?[0-9]{1,30}", re.ASCII)


def android_report(row: Mapping[str, str], source: str) -> dict[str, Any]:
    """What a row says, in the words of a CallReport.

    It has `number, type, date, duration, presentation, subscription_id, name`; what is missing or empty is unknown.
    What can't be read is left as it is, for the check of reports to say so.
    """
    number = row.get("number")
    kind = trim(row.get("type") or "")
    report = {
        "number": number,
        "type": _KIND_NAMES.get(kind, "unknown"),
        "duration_sec": whole(row.get("duration") or "0"),
        "presentation": HIDDEN_NUMBERS.get(trim(number or "")) or _PRESENTATION_NAMES.get(row.get("presentation", "")),
        "sim_id": row.get("subscription_id"),
        "type_raw": kind,
        "source": source,
        "cached_name": None if trim(row.get("name") or "") in NO_NAMES else row["name"],
    }
    if row.get("date"):
        report["date_ms"] = whole(row["date"])
    return report


def whole(text: str) -> int | str:
    """The whole number that the text is, else the text."""
    return int(text) if _INTEGER.fullmatch(trim(text)) else text
