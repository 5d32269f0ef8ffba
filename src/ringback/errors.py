"""The errors that a user can meet. Each knows its code and its HTTP status; its text is one clear sentence."""

from __future__ import annotations


class RingbackError(Exception):
    """What is wrong and what to do about it, in a sentence that may be shown to anyone."""

    code = "server_error"
    status = 500

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        """`retry_after`: seconds after which it may work, where that is known."""
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class MissingApiKey(RingbackError):
    """No API key, or an empty one."""

    code, status = "missing_apikey", 400


class InvalidApiKey(RingbackError):
    """An unknown or revoked API key."""

    code, status = "invalid_apikey", 403


class ApiExpired(RingbackError):
    """The account's last valid day is over."""

    code, status = "api_expired", 403


class InvalidParameter(RingbackError):
    """A value that cannot be read; on the command line it is wrong usage."""

    code, status = "invalid_parameter", 400


class InvalidToken(RingbackError):
    """A key or device token that is missing, unknown or revoked."""

    code, status = "invalid_token", 401


class Forbidden(RingbackError):
    """The role is missing, or a code was used or has expired."""

    code, status = "forbidden", 403


class InvalidCode(RingbackError):
    """There is no such pairing code."""

    code, status = "invalid_code", 403


class RateLimited(RingbackError):
    """Too many tries."""

    code, status = "rate_limited", 429


class NotFound(RingbackError):
    """There is nothing of that name."""

    code, status = "not_found", 404


class Conflict(RingbackError):
    """It cannot be done in the present state."""

    code, status = "conflict", 409


class CursorExpired(RingbackError):
    """A cursor of another history, or ahead of the server."""

    code, status = "cursor_expired", 410


class PayloadTooLarge(RingbackError):
    """More than is taken at once."""

    code, status = "payload_too_large", 413


class Unavailable(RingbackError):
    """The database cannot be used now."""

    code, status = "unavailable", 503
