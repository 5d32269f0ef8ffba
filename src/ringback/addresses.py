"""Which addresses webhooks may be sent to: public ones, and those of networks that the operator allows.

Whoever may make an endpoint names its address; without this, it would be a way into the server's own network.
Sources: the IANA special-purpose address registries for IPv4 and IPv6.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore2 as httpcore

from ringback.errors import InvalidParameter
from ringback.settings import Network
from ringback.text import is_storable, trim

LONGEST_URL: Final = 2_000
LOOK_UP_SECONDS: Final = 5
"""How long somebody who names an address waits for its look-up."""

CONNECT_SECONDS: Final = 4
"""How long one of several addresses of a name is tried."""

NOT_PUBLIC: Final = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
NOT_PUBLIC_IN_IT: Final = [
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")
]
NAT64: Final = IPv6Network("64:ff9b::/96")
SIX_TO_FOUR: Final = IPv6Network("2002::/16")
ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
"""The first half of an interface's identifier that ends with an IPv4 address (RFC 5214)."""

LOCAL_NAMES: Final = ("localhost", "local", "internal", "home.arpa", "localdomain", "lan", "home", "corp")
"""Names that mean the machine or its network (RFC 6761, RFC 6762, RFC 8375, and what routers use)."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Gives the addresses of a name. Raises OSError."""

_LITERAL: Final = "url must not lead to an address that is not public; see RINGBACK_WEBHOOK_ALLOW_NETWORKS."


def is_allowed(text: str, networks: Iterable[Network], *, public: bool = True) -> bool:
    """Whether an address is in one of the networks or, with `public`, a public one."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in networks if network.version == address.version):
        return True
    return public and _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC)
    if address in NAT64:
        return _is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    if address.scope_id or address not in GLOBAL_UNICAST or any(address in network for network in NOT_PUBLIC_IN_IT):
        return False
    if address in SIX_TO_FOUR:
        return _is_public(IPv4Address(int(address) >> 80 & 0xFFFF_FFFF))
    if int(address) >> 32 & 0xFFFF_FFFF in ISATAP:
        return _is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return True


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, looked up in a thread of its own: one that hangs would hold up all others."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[str]] = loop.create_future()

    def answer(found: list[str] | OSError) -> None:
        if done.done():  # who asked has gone
            return
        if isinstance(found, OSError):
            done.set_exception(found)
        else:
            done.set_result(found)

    def look_up() -> None:
        found: list[str] | OSError
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(address[0]) for *_, address in entries))
        except (OSError, UnicodeError) as error:
            found = OSError(str(error))
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(answer, found)

    threading.Thread(target=look_up, daemon=True, name="ringback-resolve").start()
    return await done


async def check_url(url: str, networks: tuple[Network, ...], resolve: Resolve = resolve) -> str:
    """The address of an endpoint as it is kept. Raises InvalidParameter where nothing may be sent there."""
    url = trim(url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or (80 if parts.scheme == "http" else 443)
        usable = parts.port != 0 and bool(host) and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable or not is_storable(url) or len(url) > LONGEST_URL or parts.scheme not in ("http", "https"):
        raise InvalidParameter("url must be an address such as https://crm.example.org/calls, in ASCII.")
    if parts.username is not None or parts.fragment or "\\" in url or "%" in host:
        raise InvalidParameter("url must have no user name, no fragment, no backslash and no zone of an address.")
    try:
        found = await asyncio.wait_for(resolve(host, port), LOOK_UP_SECONDS)
    except (OSError, TimeoutError):
        found = []
    allowed = [is_allowed(address, networks, public=parts.scheme == "https") for address in found]
    if not all(allowed):
        raise InvalidParameter(_LITERAL)
    if not found and any(f".{host.lower()}".endswith(f".{name}") for name in LOCAL_NAMES):
        raise InvalidParameter("url must not lead to a name of the server's own network.")
    if parts.scheme == "http" and not found:
        raise InvalidParameter("url must begin with https://; see RINGBACK_WEBHOOK_ALLOW_NETWORKS for others.")
    return url


class NotAllowed(httpcore.ConnectError):
    """None of the name's addresses may be connected to."""


class CheckedBackend(httpcore.AnyIOBackend):
    """Connects to allowed addresses alone: the very address that was checked is the one that is connected to."""

    def __init__(self, networks: tuple[Network, ...], resolve: Resolve = resolve, *, public: bool = True) -> None:
        self._networks, self._resolve, self._public = networks, resolve, public

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of the name that answers. Raises NotAllowed, httpcore.ConnectError."""
        try:
            found = await self._resolve(host, port)
        except OSError:
            raise httpcore.ConnectError("The name can't be looked up.") from None
        addresses = [address for address in found if is_allowed(address, self._networks, public=self._public)]
        if not addresses:
            raise NotAllowed("The name leads to an address that is not public.")
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self.connect_address(address, port, CONNECT_SECONDS)
        return await self.connect_address(addresses[-1], port)

    async def connect_address(
        self, address: str, port: int, seconds: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address that was checked."""
        return await super().connect_tcp(address, port, seconds)
