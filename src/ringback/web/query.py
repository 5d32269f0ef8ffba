"""The query string as the contract reads it: the last value wins, trimmed, an empty one is absent."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from litestar.types import Scope

from ringback.errors import InvalidParameter
from ringback.text import trim


class Query:
    """The parameters of a request; the same as `calls.parameters.Parameters`."""

    def __init__(self, scope: Scope) -> None:
        raw: bytes = scope["query_string"]
        parts = (part.partition(b"=") for part in raw.split(b"&"))
        self._raw = {_unquote(name): value for name, _, value in parts}

    def get(self, name: str, /) -> str | None:
        """See Parameters."""
        raw = self._raw.get(name.encode())
        if not raw:
            return None
        try:
            return trim(_unquote(raw).decode()) or None
        except UnicodeDecodeError:
            raise InvalidParameter(f"{name} must be valid UTF-8.") from None


def _unquote(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))
