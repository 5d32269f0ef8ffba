"""Keys and device tokens: `PREFIX_ACCOUNT_SECRET`, shown once and kept as SHA-256."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

_SECRET_BYTES = 20
_FORM = re.compile("(rbk|rbd)_([1-9][0-9]{0,17})_[a-z2-7]{32}", re.ASCII)


def make_token(prefix: str, account_id: int) -> str:
    """A new one, with 160 random bits. It names its account, so that looking it up asks for that account alone."""
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().lower()
    return f"{prefix}_{account_id}_{secret}"


def token_account(prefix: str, token: str) -> int | None:
    """The account that a token names; None where it has not the form of one."""
    match = _FORM.fullmatch(token)
    return int(match[2]) if match and match[1] == prefix else None


def hash_token(token: str) -> str:
    """What is kept of a token: its SHA-256 in hex. A secret of 160 random bits needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
