"""Pairing: codes, tokens, limits, races, the page; and `/v1/devices`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from ringback.accounts import find_account
from ringback.devices import list_devices
from ringback.pairing import create_code
from ringback.settings import load_settings
from ringback.web.pairing import client_address
from service import Customer, Service, bearer, call, new_name, on_database, run

HIS_OWN = {"X-Forwarded-For": "203.0.113.9"}


def code_for(service: Service, customer: Customer, name: str, *, new: bool = False) -> str:
    return on_database(service.database_url, lambda c: create_code(c, customer.id, name, new_device=new)).code


def pair(service: Service, code: Any, **more: Any) -> httpx.Response:
    return service.http.post("/v1/devices/pair", json={"code": code, **more})


def forget_tries(service: Service) -> None:
    on_database(service.database_url, lambda c: c.execute("delete from pairing_tries"))


@pytest.fixture(autouse=True)
def no_tries(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "service" in request.fixturenames:
        forget_tries(request.getfixturevalue("service"))


def names(service: Service, customer: Customer) -> list[str]:
    return [device.name for device in on_database(service.database_url, lambda c: list_devices(c, customer.id))]


def test_a_code_becomes_a_token_once(service: Service) -> None:
    customer = service.customer()
    code = code_for(service, customer, "Anna's phone")
    assert re.fullmatch("[2-9A-HJKMNP-Z]{8}", code)
    answer = pair(service, f" {code[:4].lower()}-{code[4:]} ", platform="termux", agent_version="1.2")
    assert answer.status_code == 200
    paired = answer.json()
    assert list(paired) == ["device_id", "name", "token", "server_time_ms"]
    assert paired["name"] == "Anna's phone"
    assert type(paired["server_time_ms"]) is int
    assert service.statuses(paired["token"], call()) == ["created"]
    again = pair(service, code)
    assert (again.status_code, again.json()["code"]) == (403, "forbidden")
    device = service.http.get(f"/v1/devices/{paired['device_id']}", headers=bearer(customer.key)).json()
    assert (device["platform"], device["agent_version"], device["status"]) == ("termux", "1.2", "online")


def test_a_phone_counts_from_pairing_on(service: Service) -> None:
    customer = service.customer()
    assert pair(service, code_for(service, customer, "new phone")).status_code == 200
    phones = service.http.get("/gateway/mobile/list/", headers=bearer(customer.key)).json()
    assert [item["label"] for item in phones["items"]] == ["new phone"]


def test_an_expired_code(service: Service) -> None:
    customer = service.customer()
    code = code_for(service, customer, "late")
    on_database(service.database_url, lambda c: c.execute("update pairing_codes set expires_ms = expires_ms - 300001"))
    answer = pair(service, code)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("code", [None, "", 5, ["A"], "x" * 101, "\0"])
def test_codes_that_are_none(service: Service, code: Any) -> None:
    answer = pair(service, code)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_after_five_unknown_codes_an_address_waits(service: Service) -> None:
    customer = service.customer()
    good = code_for(service, customer, "good")
    used = code_for(service, customer, "used")
    assert pair(service, used).status_code == 200
    for _ in range(3):
        assert pair(service, used).json()["code"] == "forbidden"  # counts as no try
    for _ in range(5):
        answer = pair(service, "ABCDEFGH")
        assert (answer.status_code, answer.json()["code"]) == (403, "invalid_code")
    for code in ("ABCDEFGH", good):
        answer = service.http.post("/v1/devices/pair", json={"code": code}, headers=HIS_OWN)  # nobody's proxy
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 290 <= int(answer.headers["retry-after"]) <= 300
    assert service.http.get("/pair").status_code == 200
    on_database(service.database_url, lambda c: c.execute("update pairing_tries set at_ms = at_ms - 300000"))
    assert pair(service, good).status_code == 200


def test_the_same_name_is_the_same_phone_again(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call())
    paired = pair(service, code_for(service, customer, "phone")).json()
    assert service.statuses(customer.token, call()) == ["duplicate"]  # the old token goes on until the new one is used
    assert service.statuses(paired["token"], call()) == ["duplicate"]
    assert service.sync(customer.token, {"calls": []}).status_code == 401
    assert service.statuses(paired["token"], call()) == ["duplicate"]
    assert names(service, customer) == ["phone"]
    for _ in range(2):  # the second code replaces a token that was never used
        last = pair(service, code_for(service, customer, "phone")).json()["token"]
    assert service.sync(last, {"calls": []}).status_code == 200
    assert service.sync(paired["token"], {"calls": []}).status_code == 401


def test_a_revoked_phone_comes_back_by_pairing(service: Service) -> None:
    customer = service.customer()
    [device] = on_database(service.database_url, lambda c: list_devices(c, customer.id))
    assert service.http.delete(f"/v1/devices/{device.id}", headers=bearer(customer.key)).status_code == 204
    assert service.sync(customer.token, {"calls": []}).status_code == 401
    paired = pair(service, code_for(service, customer, "phone")).json()
    assert service.sync(customer.token, {"calls": []}).status_code == 401
    assert service.sync(paired["token"], {"calls": []}).status_code == 200


def test_the_imported_device_becomes_the_phone(service: Service) -> None:
    from ringback.accounts import create_account
    from ringback.devices import create_device

    async def make(connection: Any) -> Customer:
        account = await create_account(connection, new_name("imported"))
        await create_device(connection, account.id, "import")
        return Customer(account.id, account.name, "", "")

    first, second = (on_database(service.database_url, make) for _ in range(2))
    pair(service, code_for(service, first, "Anna"))
    assert names(service, first) == ["Anna"]
    pair(service, code_for(service, first, "Bea"))
    assert names(service, first) == ["Anna", "Bea"]
    pair(service, code_for(service, second, "Anna", new=True))
    assert names(service, second) == ["import", "Anna"]


def test_of_two_phones_that_race_exactly_one_wins(service: Service) -> None:
    customer = service.customer()

    async def many(connection: Any) -> list[str]:
        return [(await create_code(connection, customer.id, "raced", new_device=False)).code for _ in range(200)]

    codes = on_database(service.database_url, many)
    with ThreadPoolExecutor(2) as pool:
        for code in codes:
            answers = list(pool.map(lambda code: pair(service, code), [code, code]))
            assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert names(service, customer) == ["phone", "raced"]


def test_the_page(service: Service) -> None:
    answer = service.http.get("/pair")
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    for name, kind in re.findall(r'"(/static/[^"]+\.(js|css|svg)\?v=\w+)"', answer.text):
        asset = service.http.get(name)
        assert asset.status_code == 200
        assert {"js": "javascript"}.get(kind, kind) in asset.headers["content-type"]
        assert "immutable" in asset.headers["cache-control"]
    assert service.http.get("/static/../app.py").status_code == 404
    assert service.http.get("/static/nothing.js").status_code == 404


def test_devices_on_v1(service: Service) -> None:
    customer, stranger = service.customer(), service.customer()
    service.send(customer.token)
    mine = bearer(customer.key)
    listed = service.http.get("/v1/devices", headers=mine).json()
    assert list(listed) == ["devices", "next_cursor", "synced_through"]
    [device] = listed["devices"]
    assert service.http.get(f"/v1/devices/{device['id']}/", headers={"X-API-Key": customer.key}).json() == device
    path = f"/v1/devices/{device['id']}"
    renamed = service.http.patch(path, json={"name": " Front desk "}, headers=mine)
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Front desk")
    pair(service, code_for(service, customer, "Van"))
    for name, status, code in (
        ("Van", 409, "conflict"), ("", 400, "invalid_parameter"), (None, 400, "invalid_parameter"),
        ("x" * 101, 400, "invalid_parameter"), ("a\nb", 400, "invalid_parameter"),
    ):  # fmt: skip
        answer = service.http.patch(path, json={"name": name}, headers=mine)
        assert (answer.status_code, answer.json()["code"]) == (status, code), name
    for headers, status in ((bearer(stranger.key), 404), (bearer(customer.token), 401), ({}, 401), (bearer("x"), 401)):
        for method in ("GET", "PATCH", "DELETE"):
            answer = service.http.request(method, path, json={"name": "stolen"}, headers=headers)
            assert answer.status_code == status, (method, headers)
    assert service.http.delete(path, headers=mine).status_code == 204
    after = service.http.get(path, headers=mine).json()
    assert (after["name"], after["status"]) == ("Front desk", "revoked")


def test_the_command(database_url: str) -> None:
    def ringback(*arguments: str, **variables: str) -> Any:
        return run(*arguments, RINGBACK_DATABASE_URL=database_url, **variables)

    ringback("account", "create", "shop")
    command = ("device", "pair", "--account", "shop", "--name", "Anna")
    refused = ringback(*command)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "RINGBACK_PUBLIC_URL" in refused.stderr
    service = Service(database_url)
    try:
        assert ringback(*command).returncode == 1  # it listens on the loopback address alone
        printed = json.loads(ringback(*command, "--format", "json", RINGBACK_PUBLIC_URL="https://x.example/r/").stdout)
        assert list(printed) == ["link", "code", "expires_at"]
        assert printed["link"] == f"https://x.example/r/pair#{printed['code']}"
        assert pair(service, printed["code"]).status_code == 200
        text = ringback(*command, RINGBACK_PUBLIC_URL=service.url).stdout
        assert "█" in text or "▄" in text
        assert f"curl -fsSo agent.pyz '{service.url}/agent.pyz'" in text
    finally:
        service.stop()
    assert on_database(database_url, lambda c: find_account(c, "shop")).id == 1


def test_a_server_on_all_addresses_notes_the_machines_own(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/ringback.db"
    service = Service(url, "--host", "0.0.0.0")
    service.stop()
    [row] = on_database(url, lambda c: c.fetch("select listen_url from installation"))
    assert re.fullmatch(rf"http://[0-9.]+:{service.port}", row[0])
    assert "0.0.0.0" not in row[0]


class _Request:
    def __init__(self, client: str, forwarded: str) -> None:
        self.client = type("Client", (), {"host": client})()
        self.headers = {"x-forwarded-for": forwarded} if forwarded else {}


@pytest.mark.parametrize(
    ("client", "forwarded", "found"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1, 10.1.2.3", "1.1.1.1"),
        ("127.0.0.1", "1.1.1.1, nonsense", "127.0.0.1"),
        ("::1", "203.0.113.9", "::1"),
    ],
)
def test_forwarded_addresses_are_believed_from_trusted_proxies_alone(client: str, forwarded: str, found: str) -> None:
    trusted = load_settings({"RINGBACK_TRUSTED_PROXIES": "127.0.0.0/8, 10.0.0.0/8"}).trusted_proxies
    assert client_address(_Request(client, forwarded), trusted) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "variables",
    [
        {"RINGBACK_PUBLIC_URL": "calls.example.org"},
        {"RINGBACK_PUBLIC_URL": "https://x:99999"},
        {"RINGBACK_PUBLIC_URL": "https://x/?a=1"},
        {"RINGBACK_TRUSTED_PROXIES": "10.0.0.1/8"},
        {"RINGBACK_TRUSTED_PROXIES": "proxy"},
    ],
)
def test_settings_that_cant_be_used(variables: dict[str, str]) -> None:
    result = run("migrate", **variables)
    assert result.returncode == 2
    assert result.stderr.startswith(f"ringback: {next(iter(variables))} must be")
