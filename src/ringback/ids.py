"""Ids as others see them, unique in the installation: a letter for the kind, the account's number, its own number."""

from __future__ import annotations

import re
from typing import Final

KEY: Final = "k"
DEVICE: Final = "d"
CALL: Final = "c"
REJECTED: Final = "r"
GAP: Final = "g"
IMPORT: Final = "i"
NUMBER: Final = "n"
WEBHOOK: Final = "w"
DELIVERY: Final = "y"

_FORM: Final = re.compile("([a-z])([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


def make_id(kind: str, account_id: int, number: int) -> str:
    """The id of one thing of an account: `c1-17`."""
    return f"{kind}{account_id}-{number}"


def read_id(kind: str, id: str) -> tuple[int, int] | None:
    """The account and number in an id of a kind; None where it is none."""
    match = _FORM.fullmatch(id)
    return (int(match[2]), int(match[3])) if match and match[1] == kind else None
