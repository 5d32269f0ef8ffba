"""No way in through an address: webhooks go to public addresses, and to networks that the operator allows."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpcore2 as httpcore
import pytest

from receiver import Receiver
from ringback import addresses
from ringback.addresses import CheckedBackend, check_url, is_allowed
from ringback.errors import InvalidParameter
from ringback.sending import UNTRUSTED, send
from service import Service, bearer, in_thread

FORBIDDEN = [
    # IPv4: this host, private, shared, loopback, link-local, documentation, benchmarks, multicast, reserved
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1",
    "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # IPv6: unspecified, loopback, link-local, site-local, unique local, multicast, documentation, protocols, Teredo
    "::", "::1", "::2", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1",
    "2001:db8::1", "3fff::1", "3fff:fff::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:2::1",
    "100::1", "100:0:0:1::1", "5f00::1", "4000::1", "2620:4f:8000::1", "64:ff9b:1::1", "64:ff9b:1::7f00:1",
    # IPv4 within IPv6: compatible, mapped, SIIT, NAT64, 6to4, ISATAP
    "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2002:a00:1::1", "2002:c0a8:1::1", "2002:a9fe:a9fe::", "2600::5efe:127.0.0.1", "2600::200:5efe:10.0.0.1",
    "2a00:1450:1:2:0:5efe:c0a8:101", "", "localhost", "127.1", "0x7f.1", "1.2.3.4.5",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1",
    "198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450:4007::1", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8", "2002:808:808::1", "2600::5efe:8.8.8.8",
]  # fmt: skip

NAMES = {
    # What a resolver makes of numbers: getaddrinfo takes decimal, octal, hexadecimal and short forms
    "2130706433": ["127.0.0.1"], "0x7f000001": ["127.0.0.1"], "017700000001": ["127.0.0.1"], "0x7f.0x0.0x0.0x1":
    ["127.0.0.1"], "0177.0.0.1": ["127.0.0.1"], "127.1": ["127.0.0.1"], "127.0.1": ["127.0.0.1"], "0": ["0.0.0.0"],
    "localhost": ["127.0.0.1", "::1"], "localhost.": ["127.0.0.1"], "db": ["10.0.0.5"], "metadata.google.internal":
    ["169.254.169.254"], "intranet.example.org": ["192.168.1.10"], "127.0.0.1.nip.example": ["127.0.0.1"],
    "v6.example.org": ["fd00::5"], "mapped.example.org": ["::ffff:10.0.0.1"], "nat64.example.org": ["64:ff9b::a00:1"],
    "sixtofour.example.org": ["2002:a00:1::"], "siit.example.org": ["::ffff:0:a00:1"], "xn--lcalhost-14a.example":
    ["127.0.0.1"], "empty.example.org": [], "broken.example.org": ["not an address"],
    "zone.example.org": ["fe80::1%eth0"],
}  # fmt: skip


class Recorder(CheckedBackend):
    """Connects to nothing, and keeps what it was to connect to."""

    connected: list[str]

    async def connect_address(self, address: str, port: int, seconds: float | None = None) -> Any:
        del port, seconds
        self.connected.append(address)
        raise httpcore.ConnectError("no packet leaves this test")


def connected_to(host: str, answers: list[list[str]], networks: tuple[Any, ...] = ()) -> list[str]:
    """What would be connected to; each look-up of the name takes the next answer."""
    left = list(answers)

    async def resolve(asked: str, port: int) -> list[str]:
        assert (asked, port) == (host, 443)
        return left.pop(0)

    async def connect() -> list[str]:
        backend = Recorder(networks, resolve)
        backend.connected = []
        with pytest.raises(httpcore.ConnectError):
            await backend.connect_tcp(host, 443, 15.0)
        return backend.connected

    return in_thread(connect())


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_public_is_not_connected_to(address: str) -> None:
    assert not is_allowed(address, ())
    assert connected_to("hook.example.org", [[address]]) == []


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is(address: str) -> None:
    assert is_allowed(address, ())
    assert connected_to("hook.example.org", [[address]]) == [address]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_inside(name: str) -> None:
    assert connected_to(name, [NAMES[name]]) == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    """A name that gives another answer at its second look-up is looked up once."""
    assert connected_to("rebind.example.org", [["8.8.8.8"], ["127.0.0.1"]]) == ["8.8.8.8"]
    assert connected_to("mixed.example.org", [["127.0.0.1", "8.8.8.8", "10.0.0.1", "1.1.1.1"]]) == [
        "8.8.8.8",
        "1.1.1.1",
    ]


def test_networks_that_the_operator_allows() -> None:
    networks = (ip_network("10.1.0.0/16"), ip_network("fd00:1::/32"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "8.8.8.8"):
        assert is_allowed(address, networks)
    for address in ("10.2.0.1", "fd00:2::5", "127.0.0.1", "2002:a01:203::"):
        assert not is_allowed(address, networks)
    assert not is_allowed("8.8.8.8", networks, public=False)
    assert is_allowed("10.1.2.3", networks, public=False)


def check(url: str, answer: list[str] | None, networks: tuple[Any, ...] = ()) -> str:
    async def resolve(host: str, port: int) -> list[str]:
        del host, port
        if answer is None:
            raise OSError("no such name")
        return answer

    return in_thread(check_url(url, networks, resolve))


def test_an_address_is_checked_when_it_is_saved() -> None:
    network = (ip_network("192.168.0.0/16"),)
    assert check(" https://crm.example.org/hook?x=1 ", ["8.8.8.8"]) == "https://crm.example.org/hook?x=1"
    assert check("https://not-yet.example.org/", None) == "https://not-yet.example.org/"
    assert check("http://box.lan:8080/hook", ["192.168.1.5"], network) == "http://box.lan:8080/hook"
    assert check("https://box.lan/", ["192.168.1.5"], network) == "https://box.lan/"
    for name, answer in NAMES.items():
        if answer:
            with pytest.raises(InvalidParameter):
                check(f"https://{name}/", answer)
    for url, answer in (
        ("http://crm.example.org/", ["8.8.8.8"]),
        ("http://crm.example.org/", None),
        ("http://crm.example.org/", ["192.168.1.5", "8.8.8.8"]),
        ("https://crm.example.org/", ["192.168.1.5", "10.0.0.1"]),
        ("https://localhost/", None),
        ("https://printer.local/", None),
        ("https://db.internal/", None),
    ):
        with pytest.raises(InvalidParameter):
            check(url, answer, network)


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/", "https://LOCALHOST./", "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/",
        "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25lo]/", "https://0/",
        "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "http://127.0.0.1/", "https://127.1/",
    ],
)  # fmt: skip
def test_the_server_refuses_them(service: Service, url: str) -> None:
    customer = service.customer()
    body = {"url": url, "events": ["call.missed"]}
    answer = service.http.post("/v1/webhooks", json=body, headers=bearer(customer.key))
    assert answer.status_code == 400, answer.text


def attempt(url: str, resolve: Any = addresses.resolve, networks: tuple[Any, ...] = (), seconds: float = 5) -> Any:
    return in_thread(send(url, "{}", {}, networks, seconds, resolve))


def test_the_first_attempt_is_checked_as_any_other() -> None:
    """What was saved may have come to lead inside."""
    receiver = Receiver()
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
        done = attempt(f"https://{host}:{receiver.port}/")
        assert (done.status, done.error) == (None, "The name leads to an address that is not public.")
        assert attempt(f"http://{host}:{receiver.port}/").error == "The name leads to an address that is not public."
    receiver.stop()
    assert receiver.received == []


def test_a_name_that_hangs_is_given_up() -> None:
    async def hang(host: str, port: int) -> list[str]:
        del host, port
        await asyncio.sleep(60)
        return []

    started = time.monotonic()
    done = attempt("https://hang.example.org/", hang, seconds=0.3)
    assert done.error == "There was no answer within 0.3 s."
    assert time.monotonic() - started < 30


def test_look_ups_that_hang_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    original = addresses.socket.getaddrinfo

    def slow(host: str, *more: Any, **options: Any) -> Any:
        if host == "hang.example.org":
            time.sleep(3)
        return original(host, *more, **options)

    monkeypatch.setattr(addresses.socket, "getaddrinfo", slow)

    async def look_up() -> list[str]:
        hanging = [asyncio.create_task(addresses.resolve("hang.example.org", 443)) for _ in range(60)]
        await asyncio.sleep(0.1)
        found = await addresses.resolve("127.0.0.1", 443)
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        return found

    assert in_thread(look_up()) == ["127.0.0.1"]


def test_a_certificate_that_nobody_knows_is_told(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
         "-out", certificate, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        check=True, capture_output=True,
    )  # fmt: skip
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    done = attempt(f"https://127.0.0.1:{receiver.port}/", networks=(ip_network("127.0.0.0/8"),))
    assert (done.status, done.error) == (None, UNTRUSTED)
    receiver.stop()
    assert receiver.received == []
