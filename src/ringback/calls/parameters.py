"""Parameters of lists, as the strings that were sent, and what they mean. Rules: the call API contract, "Requests"."""

from __future__ import annotations

import re
from typing import Final, Protocol

from ringback.errors import InvalidParameter

MOST_INT64: Final = 2**63 - 1
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
