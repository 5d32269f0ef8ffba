"""Rows of Android's own table of calls, as backups copy them: columns by name, values as text.

Source: android.provider.CallLog.Calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ringback.calls.contract import KINDS, PRESENTATIONS
from ringback.text import trim

PROVIDER: Final = "provider"
"""The source of rows that were read from the table itself."""

NO_NAMES: Final = frozenset(("", "null", "(Unknown)", "UNKNOWN_CALLER"))
"""What backups write where no name is known."""

HIDDEN_NUMBERS: Final = {"-1": "unknown", "-2": "restricted", "-3": "payphone"}
"""How Android before 4.4 wrote in the number that there is none to show."""

_NAMES: Final = """
    _id number post_dial_digits via_number presentation date duration data_usage type features
    subscription_component_name subscription_id sub_id phone_account_hidden phone_account_address new voicemail_uri
    transcription transcription_state is_read name numbertype numberlabel countryiso geocoded_location lookup_uri
    matched_number normalized_number photo_id photo_uri formatted_number add_for_all_users last_modified
    call_screening_component_name call_screening_app_name block_reason missed_reason priority subject location
    composer_photo_uri is_call_log_phone_account_migration_pending is_business_call asserted_display_name
"""
COLUMNS: Final = frozenset(_NAMES.split())
"""Those that apps can read."""

KIND_NAMES: Final = {str(number): name for name, number in KINDS.items() if number}
_PRESENTATION_NAMES: Final = {str(number): name for name, number in PRESENTATIONS.items()}
_INTEGER: Final = re.compile("-?[0-9]{1,30}", re.ASCII)


def android_report(row: Mapping[str, str], source: str) -> dict[str, Any]:
    """What a row says, in the words of a CallReport.

    What is missing or empty is unknown. What can't be read is left as it is, for the check of reports to say so.
    """
    number = row.get("number")
    kind = trim(row.get("type") or "")
    report = {
        "number": number,
        "type": KIND_NAMES.get(kind, "unknown"),
        "duration_sec": whole(row.get("duration") or "0"),
        "presentation": HIDDEN_NUMBERS.get(trim(number or "")) or _PRESENTATION_NAMES.get(row.get("presentation", "")),
        "sim_id": row.get("subscription_id"),
        "type_raw": kind,
        "source": source,
        "cached_name": known_name(row.get("name")),
        "geo_location": row.get("geocoded_location"),
        "country_iso": row.get("countryiso"),
    }
    if row.get("date"):
        report["date_ms"] = whole(row["date"])
    return report


def known_name(name: str | None) -> str | None:
    """The name, None for what stands where none is known."""
    return None if trim(name or "") in NO_NAMES else name


def whole(text: str) -> int | str:
    """The whole number that the text is, else the text."""
    return int(text) if _INTEGER.fullmatch(trim(text)) else text


def row_number(row: Mapping[str, str]) -> int | None:
    """The table's own number of a row."""
    number = whole(row.get("_id", ""))
    return number if isinstance(number, int) and 0 <= number < 2**63 else None
