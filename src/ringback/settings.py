"""Every setting once: its name, its default, what it is for.

A value comes from the environment, else from a file `.env` in the current folder. What is secret can also be read from
the file that NAME_FILE names, which then wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from dotenv import dotenv_values
from platformdirs import user_data_path

from ringback.errors import InvalidParameter

PREFIX = "RINGBACK_"
LONGEST_RETRY_S = 30 * 86_400
LONGEST_TIMEOUT_S = 60
MOST_CONCURRENT = 100
MOST_STREAMS = 10_000


class Setting(NamedTuple):
    """One setting as documentation and checks see it."""

    name: str
    default: str
    help: str
    secret: bool = False


SETTINGS = (
    Setting("RINGBACK_DATA_DIR", "the system's folder for data", "The folder in which the embedded database lies."),
    Setting(
        "RINGBACK_DATABASE_URL",
        "sqlite:///DATA_DIR/ringback.db",
        "The database: sqlite:///path/to/ringback.db or postgresql://user:password@host:port/name.",
        secret=True,
    ),
    Setting(
        "RINGBACK_PUBLIC_URL",
        "the address that serve listens on",
        "The server's address as phones and links use it, such as https://calls.example.org.",
    ),
    Setting(
        "RINGBACK_TRUSTED_PROXIES",
        "none",
        "Networks, separated by commas, whose X-Forwarded-For header is believed, such as 127.0.0.1/32.",
    ),
    Setting("RINGBACK_LOG_REQUESTS", "1", "Whether the log has a line for each request: 1, or 0."),
    Setting("RINGBACK_STREAMS_PER_KEY", "20", "Streams of events that a key may have open in each process."),
    Setting("RINGBACK_WORKER", "1", "Whether `serve` also sends webhooks: 1, or 0 beside `ringback worker`."),
    Setting(
        "RINGBACK_WEBHOOK_ALLOW_NETWORKS",
        "none",
        "Networks, separated by commas, that webhooks may be sent to though they are not public, also without TLS.",
    ),
    Setting(
        "RINGBACK_WEBHOOK_RETRIES",
        "5,60,300,1800,7200,18000,36000,50400,72000,86400",
        "Seconds between the attempts to deliver an event, separated by commas.",
    ),
    Setting("RINGBACK_WEBHOOK_TIMEOUT", "15", "Seconds within which a receiver has to answer."),
    Setting("RINGBACK_WEBHOOK_CONCURRENCY", "4", "Requests that are under way at once to one endpoint."),
)

Network = IPv4Network | IPv6Network


class Settings(NamedTuple):
    """The settings of this process."""

    data_dir: Path
    database_url: str
    public_url: str
    """Without a slash at its end; "" where none is set."""
    trusted_proxies: tuple[Network, ...]
    log_requests: bool
    streams_per_key: int
    worker: bool
    webhook_networks: tuple[Network, ...]
    webhook_retries_s: tuple[float, ...]
    webhook_timeout_s: float
    webhook_concurrency: int
    unknown: tuple[str, ...]
    """Names that begin with RINGBACK_ and are no settings: perhaps misspelled."""


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings. Raises InvalidParameter, naming the one that can't be used."""
    values = _environment() if environment is None else environment
    data_dir = Path(_value(values, "RINGBACK_DATA_DIR") or user_data_path("ringback"))
    url = _value(values, "RINGBACK_DATABASE_URL") or f"sqlite:///{data_dir / 'ringback.db'}"
    check_database_url(url, "RINGBACK_DATABASE_URL")
    known = {name for s in SETTINGS for name in ((s.name, f"{s.name}_FILE") if s.secret else (s.name,))}
    unknown = sorted(name for name in values if name.startswith(PREFIX) and name not in known)
    public_url = _check_public_url(_value(values, "RINGBACK_PUBLIC_URL"))
    proxies = _check_networks("RINGBACK_TRUSTED_PROXIES", _value(values, "RINGBACK_TRUSTED_PROXIES"))
    return Settings(
        data_dir,
        url,
        public_url,
        proxies,
        _switch(values, "RINGBACK_LOG_REQUESTS"),
        int(_number(values, "RINGBACK_STREAMS_PER_KEY", MOST_STREAMS)),
        _switch(values, "RINGBACK_WORKER"),
        _check_networks("RINGBACK_WEBHOOK_ALLOW_NETWORKS", _value(values, "RINGBACK_WEBHOOK_ALLOW_NETWORKS")),
        tuple(_numbers(values, "RINGBACK_WEBHOOK_RETRIES", LONGEST_RETRY_S)),
        _number(values, "RINGBACK_WEBHOOK_TIMEOUT", LONGEST_TIMEOUT_S),
        int(_number(values, "RINGBACK_WEBHOOK_CONCURRENCY", MOST_CONCURRENT)),
        tuple(unknown),
    )


def _switch(values: Mapping[str, str], name: str) -> bool:
    text = _value(values, name) or "1"
    if text not in ("0", "1"):
        raise InvalidParameter(f"{name} must be 0 or 1.")
    return text == "1"


def _numbers(values: Mapping[str, str], name: str, most: int) -> list[float]:
    """The numbers of a setting, separated by commas; its default's where it is not set."""
    text = _value(values, name) or next(setting.default for setting in SETTINGS if setting.name == name)
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", word, re.ASCII) and float(word) <= most for word in words):
        raise InvalidParameter(f"{name} must be numbers of at most {most:,}, separated by commas.")
    return [float(word) for word in words]


def _number(values: Mapping[str, str], name: str, most: int) -> float:
    found = _numbers(values, name, most)
    if len(found) != 1 or found[0] < 1:
        raise InvalidParameter(f"{name} must be a number from 1 to {most:,}.")
    return found[0]


def check_database_url(url: str, name: str) -> None:
    """Raise InvalidParameter where `name` holds no address of a database. The address itself is secret."""
    try:
        scheme, port = urlsplit(url).scheme, urlsplit(url).port
    except ValueError:
        raise InvalidParameter(f"{name} is no address: its port must be a number from 1 to 65535.") from None
    if not (url.startswith("sqlite:///") and len(url) > len("sqlite:///")) and (
        scheme not in ("postgresql", "postgres") or port == 0
    ):
        raise InvalidParameter(f"{name} must begin with sqlite:/// (and a path) or postgresql://.")


def _check_public_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = not url or (parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise InvalidParameter("RINGBACK_PUBLIC_URL must be an address such as https://calls.example.org.")
    return url.rstrip("/")


def _check_networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError:
        raise InvalidParameter(f"{name} must be networks such as 10.0.0.0/8, separated by commas.") from None


def _environment() -> dict[str, str]:
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**from_file, **os.environ}


def _value(values: Mapping[str, str], name: str) -> str:
    path = values.get(f"{name}_FILE") if any(s.secret for s in SETTINGS if s.name == name) else None
    if not path:
        return values.get(name, "").strip()
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError):
        raise InvalidParameter(f"The file that {name}_FILE names can't be read; check its path and mode.") from None
