"""Numbers and names as identity sees them. The server uses this file too: both must name a call alike."""

from __future__ import annotations

import unicodedata
from hashlib import blake2b

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004"
    "\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space. Python's own `strip` also takes U+001C to U+001F."""

_WHOLE_LETTERS = str.maketrans({"đ": "d", "ø": "o", "ł": "l", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe"})
_NO_NUMBERS = frozenset(("", "-1", "-2", "-3", "null"))


def trim(text: str) -> str:
    """The text without white space at its ends."""
    return text.strip(WHITE_SPACE)


def fold(text: str) -> str:
    """Text without case, accents and invisible characters: `fold("Nguyễn") == "nguyen"`, `fold("Đúng") == "dung"`.

    NFKD, casefold, characters with a combining class and format characters dropped, then the letters that Unicode
    keeps whole.
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    kept = (c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return "".join(kept).translate(_WHOLE_LETTERS)


def digits(text: str) -> str:
    """The decimal digits of any script, as 0-9: `digits("+32 (0)4٧") == "32047"`."""
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())


def clean_number(number: str | None, presentation: str | None) -> str:
    """The number as it is kept: white space at its ends removed, "" for a hidden caller.

    Hidden are null, what folds to nothing, the -1, -2, -3 and `null` of backups, and any presentation but `allowed`.
    """
    trimmed = trim(number or "")
    hidden = trimmed in _NO_NUMBERS or presentation not in (None, "allowed") or not trim(fold(trimmed))
    return "" if hidden else trimmed


def number_key(number: str) -> str:
    """What makes two spellings one number: its digits, after a `+` where one stands before the first digit.

    A number with a letter, `*` or `#`, or without any digit, is its folded text. A hidden caller is "".
    """
    first = next((place for place, c in enumerate(number) if c.isdecimal()), None)
    if first is None or any(c in "*#" or c.isalpha() for c in number):
        return trim(fold(trim(number)))
    return ("+" if "+" in number[:first] else "") + digits(number)


def number_key_digest(number: str) -> bytes:
    """BLAKE2b of 8 bytes over the number's key: how manifests and the database name it."""
    return blake2b(number_key(number).encode("utf-8", "surrogatepass"), digest_size=8).digest()
