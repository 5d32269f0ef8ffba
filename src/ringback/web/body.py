"""Bodies as the contract reads them: JSON, gzipped or not, lenient where text is no valid Unicode."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import Any, Final

from litestar import Request

from ringback.calls.contract import DEEPEST, WHOLE_FLOATS_JSON, is_too_deep
from ringback.errors import InvalidParameter, PayloadTooLarge
from ringback.text import is_storable, trim

MOST_BYTES: Final = 4_000_000
"""Of a body, unpacked."""

LONGEST_TEXT: Final = 100

_TOO_LARGE: Final = f"A body may have {MOST_BYTES:,} bytes unpacked; send it in several requests."


async def read_object(request: Request[Any, Any, Any], decoder: json.JSONDecoder = WHOLE_FLOATS_JSON) -> dict[str, Any]:
    """The JSON object of a body, as `json.loads` makes it. Raises InvalidParameter, PayloadTooLarge."""
    body = _unpack(await _read(request), request.headers.get("content-encoding", ""))
    try:
        content = decoder.decode(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        raise InvalidParameter("The body must be JSON.") from None
    if not isinstance(content, dict):
        raise InvalidParameter("The body must be a JSON object.")
    if is_too_deep(content):
        raise InvalidParameter(f"The body must be nested at most {DEEPEST} levels deep.")
    return content


def short_text(body: dict[str, Any], name: str) -> str | None:
    """A short text of a body, trimmed; None where it is missing, null or empty. Raises InvalidParameter."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not str or len(value) > LONGEST_TEXT or not is_storable(value):
        raise InvalidParameter(f"{name} must be text of at most {LONGEST_TEXT} characters.")
    return trim(value) or None


async def _read(request: Request[Any, Any, Any]) -> bytes:
    """The body. One that is too large is read to its end all the same: a client that still sends hears no answer."""
    body = bytearray()
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size <= MOST_BYTES:
            body += piece
    if size > MOST_BYTES:
        raise PayloadTooLarge(_TOO_LARGE)
    return bytes(body)


def _unpack(body: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "" | "identity":
            content = body
        case "gzip" | "x-gzip":
            try:
                content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MOST_BYTES + 1)
            except (OSError, EOFError, zlib.error):
                raise InvalidParameter("The body is no gzip, though Content-Encoding says so.") from None
        case _:
            raise InvalidParameter("Content-Encoding must be gzip, or absent.")
    if len(content) > MOST_BYTES:
        raise PayloadTooLarge(_TOO_LARGE)
    return content
