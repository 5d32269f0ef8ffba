"""Passwords and second factors: argon2id, and codes that change with time (TOTP, RFC 6238)."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Final

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ringback.errors import InvalidParameter

SHORTEST: Final = 10
LONGEST: Final = 1_000
STEP_SECONDS: Final = 30

_hasher: Final = PasswordHasher()
_at_once: Final = asyncio.Semaphore(2)
"""Each hash takes 64 MB and half a core for 50 ms: many logins at once must not take the server with them."""


async def hash_password(password: str) -> str:
    """What is kept of a password. Raises InvalidParameter where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidParameter(f"A password must have {SHORTEST} to {LONGEST} characters.")
    async with _at_once:
        return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, hash: str | None) -> bool:
    """Whether it is the password of a hash; the work is the same where there is none."""
    async with _at_once:
        return await asyncio.to_thread(_verify, hash or _dummy_hash(), password[:LONGEST]) and hash is not None


def _verify(hash: str, password: str) -> bool:
    try:
        return _hasher.verify(hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _dummy_hash() -> str:
    return _hasher.hash("nobody has this password")


def new_totp_secret() -> str:
    """A secret for an authenticator app, in base32."""
    return pyotp.random_base32()


def totp_uri(secret: str, email: str) -> str:
    """What the QR code says that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Ringback")


def totp_step(secret: str, code: str, last_step: int | None) -> int | None:
    """The 30 s step whose code it is, the present one or one beside it; None where it is none or not after the last."""
    totp, now = pyotp.TOTP(secret), int(time.time()) // STEP_SECONDS
    given = "".join(code.split())
    for step in (now, now - 1, now + 1):
        if pyotp.utils.strings_equal(totp.at(step * STEP_SECONDS), given):
            return step if last_step is None or step > last_step else None
    return None
