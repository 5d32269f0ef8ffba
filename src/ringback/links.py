"""Addresses of this server that phones and people open."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from ringback.db import Connection
from ringback.errors import Conflict
from ringback.settings import load_settings


async def note_address(connection: Connection, url: str) -> None:
    """Note where the server listens, for commands that make links."""
    await connection.execute("update installation set listen_url = $1", url)


async def public_url(connection: Connection) -> str:
    """The server's address as phones reach it, without a slash at its end. Raises Conflict where none is known."""
    url = await _known_url(connection)
    if not url or (url != load_settings().public_url and _is_loopback(urlsplit(url).hostname or "")):
        raise Conflict(
            "Phones can't reach this server: it listens on this machine alone, or never ran. Set RINGBACK_PUBLIC_URL to"
            " its address, or start it with `ringback serve --host 0.0.0.0`."
        )
    return url


async def local_url(connection: Connection) -> str:
    """The server's address for people's links, which may open on this machine. Raises Conflict where none is known."""
    url = await _known_url(connection)
    if not url:
        raise Conflict("The server's address isn't known: set RINGBACK_PUBLIC_URL, or start `ringback serve` once.")
    return url


async def _known_url(connection: Connection) -> str:
    """The address that is set, else the one that `serve` noted; "" where it never ran."""
    row = await connection.fetch_one("select listen_url from installation")
    return load_settings().public_url or (row and row[0]) or ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pairing_link(url: str, code: str) -> str:
    """The link that a phone opens. What stands after `#` never reaches a server or its logs."""
    return f"{url}/pair#{code}"


def install_command(url: str, code: str) -> str:
    """What is typed into Termux to install the agent and pair the phone."""
    return (
        f"pkg install -y python termux-api curl && curl -fsSo agent.pyz '{url}/agent.pyz' &&"
        f" python agent.pyz pair '{pairing_link(url, code)}'"
    )
