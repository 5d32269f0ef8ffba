"""Parameters of lists, as the strings that were sent, and what they mean. Rules: the call API contract, "Requests"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, Protocol

from ringback.errors import InvalidParameter
from ringback.text import is_storable, trim
from ringback.times import parse_day, parse_moment

MOST_INT64: Final = 2**63 - 1
LONGEST_SEARCH: Final = 100
_INTEGER: Final = re.compile("([+-]?)0*([0-9]+)", re.ASCII)
_DIGITS_OF_INT64: Final = 19


class Parameters(Protocol):
    """Where a list's parameters come from: a query string or a command line."""

    def get(self, name: str, /) -> str | None:
        """The trimmed value; None where it is absent or empty. Raises InvalidParameter where it is no valid text."""


def integer(parameters: Parameters, name: str, default: int, least: int, most: int = MOST_INT64) -> int:
    """A whole number, moved to the bounds. Raises InvalidParameter."""
    text = parameters.get(name)
    if text is None:
        return default
    match = _INTEGER.fullmatch(text)
    if not match:
        raise InvalidParameter(f"{name} must be a whole number in the digits 0 to 9.")
    sign, figures = match.groups()
    size = int(figures) if len(figures) <= _DIGITS_OF_INT64 else 10**_DIGITS_OF_INT64
    return min(max(-size if sign == "-" else size, least), most)


def day(parameters: Parameters, name: str) -> date | None:
    """A day. Raises InvalidParameter."""
    text = parameters.get(name)
    if text is None:
        return None
    found = parse_day(text)
    if found is None:
        raise InvalidParameter(f"{name} must be a day of the calendar, as YYYY-MM-DD.")
    return found


def word(parameters: Parameters, name: str, allowed: Sequence[str], *, any_case: bool = False) -> str:
    """One of some words, the first where none is given. Raises InvalidParameter."""
    text = parameters.get(name)
    if text is None:
        return allowed[0]
    if any_case:
        text = text.lower()
    if text not in allowed:
        raise InvalidParameter(f"{name} must be one of {', '.join(allowed)}.")
    return text


def words(parameters: Parameters, name: str, allowed: Sequence[str]) -> set[str]:
    """Some of the words, separated by commas. Raises InvalidParameter."""
    found = {one for one in map(trim, (parameters.get(name) or "").split(",")) if one}
    if not found <= set(allowed):
        raise InvalidParameter(f"{name} must be some of {', '.join(allowed)}, separated by commas.")
    return found


def search(parameters: Parameters, name: str) -> str | None:
    """What is searched for. Raises InvalidParameter."""
    text = parameters.get(name)
    if text is not None and (len(text) > LONGEST_SEARCH or not is_storable(text)):
        raise InvalidParameter(f"{name} must be text of at most {LONGEST_SEARCH} characters without U+0000.")
    return text


def moment_or_day(parameters: Parameters, name: str) -> date | int | None:
    """A day of the account's zone, or a moment in ms (RFC 3339). Raises InvalidParameter."""
    text = parameters.get(name)
    if text is None:
        return None
    found = parse_day(text)
    if found is not None:
        return found
    # An unescaped + arrives as a space.
    moment = parse_moment(re.sub(r" (?=[0-9]{2}:?[0-9]{2}$)", "+", text))
    if moment is None:
        raise InvalidParameter(f"{name} must be a day as YYYY-MM-DD or a moment such as 2026-02-24T12:49:39Z.")
    return moment
