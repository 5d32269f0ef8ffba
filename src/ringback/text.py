"""Text as search, sort and identity see it: computed here, so that both databases agree."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from ringback.agent.text import WHITE_SPACE, clean_number, digits, fold, number_key, number_key_digest, trim

__all__ = [
    "WHITE_SPACE",
    "clean_number",
    "digits",
    "e164",
    "fold",
    "is_storable",
    "number_key",
    "number_key_digest",
    "number_key_hash",
    "number_query_digits",
    "trim",
]

_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")
_NUMBER_MARKS: Final = frozenset("+-() ./")


def is_storable(text: str) -> bool:
    """Whether both databases can keep the text: no U+0000 and no lone surrogates."""
    return not _NOT_STORABLE.search(text)


def number_query_digits(query: str) -> str:
    """The digits of a query that may be a part of a number; "" for any other query."""
    if all(c.isdecimal() or c in _NUMBER_MARKS or unicodedata.category(c) in ("Zs", "Pd") for c in query):
        return digits(query)
    return ""


@lru_cache(maxsize=20_000)
def e164(number: str, country_iso: str | None) -> str | None:
    """The number in the form of E.164, read in its country where it has no `+`; None where it is no valid one."""
    import phonenumbers  # slow to load, and most commands need it not

    try:
        parsed = phonenumbers.parse(number, (country_iso or "").upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=20_000)
def number_key_hash(number: str) -> int:
    """The digest of the number's key as a signed integer, which both databases can keep."""
    return int.from_bytes(number_key_digest(number), "big", signed=True)
