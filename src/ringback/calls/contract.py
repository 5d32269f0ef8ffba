"""What a source says of a call: the fields of a report, and what each may hold. Rules: the call API contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from ringback.text import WHITE_SPACE, clean_number, is_storable, trim
from ringback.times import DAY_MS

KINDS: Final = {
    "unknown": 0,
    "incoming": 1,
    "outgoing": 2,
    "missed": 3,
    "voicemail": 4,
    "rejected": 5,
    "blocked": 6,
    "answered_elsewhere": 7,
}
"""The types of calls by Android's numbers (android.provider.CallLog.Calls.TYPE)."""

PRESENTATIONS: Final = {"allowed": 1, "restricted": 2, "unknown": 3, "payphone": 4, "unavailable": 5}
"""How a number may be shown, by Android's numbers (android.provider.CallLog.Calls.NUMBER_PRESENTATION)."""

DIRECTIONS: Final = {KINDS["outgoing"]: 1, KINDS["voicemail"]: 2}
"""The direction of a kind; 0, in, for all others."""

EXPORTED: Final = {
    "kind": "type",
    "number": "number",
    "name": "cached_name",
    "started_at": "",
    "duration_sec": "duration_sec",
    "geo_location": "geo_location",
    "device": "",
    "sim_id": "sim_id",
    "presentation": "presentation",
    "source": "source",
    "started_at_ms": "date_ms",
    "precision": "precision",
    "country_iso": "country_iso",
    "type_raw": "type_raw",
    "occurrence": "occurrence",
    "date_other_ms": "date_other_ms",
}
"""The columns of an export, in their order, each with the field of a report that it is; "" where it is none."""

EARLIEST_MS: Final = 631_152_000_000
"""The beginning of 1990: earlier dates are seconds, or integers that lost their upper half."""

MOST_INT: Final = 2_147_483_647
LONGEST_NAME: Final = 500
LONGEST_TEXT: Final = 100


class CallReport(msgspec.Struct, frozen=True):
    """One row of a call log as a phone or file tells it, checked and cleaned."""

    number: str
    """As it was written, without white space at its ends; "" for a hidden caller."""
    type: str
    date_ms: int
    """When it began: ms since 1970 in UTC, floored to the second where `precision` is `s`."""
    duration_sec: int
    precision: str = "ms"
    cached_name: str | None = None
    geo_location: str | None = None
    occurrence: int = 0
    """Which of the rows of one read it is that share all the rest of the identity."""
    country_iso: str | None = None
    presentation: str | None = None
    sim_id: str | None = None
    type_raw: str | None = None
    source: str | None = None
    date_other_ms: int | None = None
    """The later of two instants that a local time can mean, `date_ms` being the earlier; None where it means one."""

    @property
    def kind(self) -> int:
        """Its type as Android's number."""
        return KINDS[self.type]

    @property
    def direction(self) -> int:
        """The direction that is part of its identity."""
        return DIRECTIONS.get(self.kind, 0)


class BadReport(msgspec.Struct, frozen=True):
    """A report that can't be taken: why, and what was sent."""

    error: str
    report: Any
    """What `json.loads` made of it."""
    place: int | None = None
    """The row of the file that it came from."""


class JsonNumber(str):
    """A number that JSON allows but no field does (a float, thousands of digits), as it was written."""

    __slots__ = ()


_LONGEST_INT: Final = 1_000


def _parse_int(text: str) -> int | JsonNumber:
    """Python refuses to read integers of many thousand digits."""
    return int(text) if len(text) <= _LONGEST_INT else JsonNumber(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _parse_whole_float(text: str) -> int | JsonNumber:
    return _parse_int(text.partition(".")[0]) if re.fullmatch(r"-?[0-9]+\.0+", text) else JsonNumber(text)


JSON: Final = json.JSONDecoder(parse_float=JsonNumber, parse_int=_parse_int, parse_constant=_refuse_constant)
"""Reads reports so that one bad number or text in one of them is refused with that report alone.

Raises ValueError, and RecursionError where lists and objects stand in each other without end.
"""

WHOLE_FLOATS_JSON: Final = json.JSONDecoder(
    parse_float=_parse_whole_float, parse_int=_parse_int, parse_constant=_refuse_constant
)
"""The same, but `31.0` is the whole number that it is to JSON Schema; the contract refuses it in reports alone."""

DEEPEST: Final = 100
"""Lists and objects in each other: writing them out is recursive."""


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether lists and objects stand in each other more than DEEPEST deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels < 0 or any(is_too_deep(one, levels - 1) for one in inner)


class _Field(NamedTuple):
    allows: Callable[[Any], bool]
    must_be: str
    schema: dict[str, Any]
    """What it allows, as far as JSON Schema can say it."""
    required: bool = False


def _text(longest: int) -> _Field:
    return _Field(
        lambda value: type(value) is str and len(value) <= longest and is_storable(value),
        f"text of at most {longest} characters, in valid Unicode and without U+0000",
        {"type": "string", "maxLength": longest},
    )


def _whole(least: int, most: int) -> _Field:
    return _Field(
        lambda value: type(value) is int and least <= value <= most,
        f"a whole number from {least} to {most}",
        {"type": "integer", "minimum": least, "maximum": most},
    )


def _word(*words: str) -> _Field:
    return _Field(
        lambda value: type(value) is str and value in words,
        "one of " + ", ".join(words),
        {"type": "string", "enum": list(words)},
    )


_SHORT: Final = _text(LONGEST_TEXT)

_MOMENT: Final = _Field(
    lambda value: type(value) is int, "a whole number of milliseconds since 1970", {"type": "integer"}
)

_FIELDS: Final[dict[str, _Field]] = {
    "number": _Field(
        lambda value: value is None or _SHORT.allows(value),
        f"null or {_SHORT.must_be}",
        {"type": ["string", "null"], "maxLength": LONGEST_TEXT},
        required=True,
    ),
    "type": _word(*KINDS)._replace(required=True),
    "date_ms": _MOMENT._replace(required=True),
    "duration_sec": _whole(0, MOST_INT)._replace(required=True),
    "precision": _word("ms", "s"),
    "cached_name": _text(LONGEST_NAME),
    "geo_location": _text(LONGEST_NAME),
    "occurrence": _whole(0, MOST_INT),
    "country_iso": _SHORT,
    "presentation": _word(*PRESENTATIONS),
    "sim_id": _SHORT,
    "type_raw": _Field(
        lambda value: _SHORT.allows(str(value) if type(value) is int else value),
        f"a whole number or {_SHORT.must_be}",
        {"type": ["string", "integer"], "maxLength": LONGEST_TEXT},
    ),
    "source": _SHORT,
    "tz_offset_min": _whole(-1_440, 1_440),
    "date_other_ms": _MOMENT,
}


def report_schema() -> dict[str, Any]:
    """A report as JSON Schema: one that is accepted fits it, save what it can't say of texts and dates."""
    return {
        "type": "object",
        "required": [name for name, field in _FIELDS.items() if field.required],
        "properties": {
            name: {**field.schema, "description": field.must_be[:1].upper() + field.must_be[1:] + "."}
            if field.required
            else {"anyOf": [field.schema, {"type": "null"}], "description": f"Null, or {field.must_be}."}
            for name, field in _FIELDS.items()
        },
    }


def parse_report(value: Any, now_ms: int, place: int | None = None) -> CallReport | BadReport:
    """Check one report, as `json.loads` gave it. `now_ms` is the server's clock, `place` the row of a file."""
    if type(value) is not dict:
        return BadReport("A report must be a JSON object.", value, place)
    error = _find_error(value, now_ms)
    if error:
        return BadReport(error, value, place)
    said = {name: given for name, given in value.items() if given is not None and name in _FIELDS}
    said.pop("tz_offset_min", None)
    if "type_raw" in said:
        said["type_raw"] = str(said["type_raw"])
    for name, given in said.items():
        # Blank, which is mostly told by the first character alone.
        if type(given) is str and (not given or (given[0] in WHITE_SPACE and not trim(given))):
            said[name] = None
    said["number"] = clean_number(said.get("number"), said.get("presentation"))
    if said.get("precision") == "s":
        for name in {"date_ms", "date_other_ms"} & said.keys():
            said[name] -= said[name] % 1_000
    return CallReport(**said)


def _find_error(value: dict[str, Any], now_ms: int) -> str:
    """What is wrong with the report, as a sentence; "" where nothing is."""
    for name, field in _FIELDS.items():
        given = value.get(name)
        if field.required:
            if name not in value:
                return f"{name} is missing; it must be {field.must_be}."
        elif given is None:
            continue
        if not field.allows(given):
            return f"{name} must be {field.must_be}."
    if value["date_ms"] < EARLIEST_MS:
        return "date_ms is before 1990; it must be in milliseconds since 1970."
    if value["date_ms"] > now_ms + DAY_MS:
        return "date_ms is more than 24 hours ahead of the server's clock."
    other = value.get("date_other_ms")
    if other is not None and not 1_000 <= other - value["date_ms"] <= DAY_MS:
        return "date_other_ms must be later than date_ms, by a second to a day."
    return ""
