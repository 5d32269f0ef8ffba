"""Phones and Developers over HTTP: what is shown, what is refused, what belongs to somebody else."""

from __future__ import annotations

import html
import re
import subprocess
from typing import Any

import pytest

from ringback.devices import list_devices
from service import Customer, Service, SignedIn, call, make_member, on_database
from test_access import browser


@pytest.fixture
def customer(service: Service) -> Customer:
    return service.customer()


@pytest.fixture
def manager(service: Service, customer: Customer) -> SignedIn:
    return make_member(service.database_url, customer.id, "manager")


def test_phones_that_cannot_reach_the_server(service: Service, manager: SignedIn) -> None:
    with browser(service, manager) as client:
        answer = client.post("/phones", data={"name": "Anna"})
        assert answer.status_code == 409
        assert "RINGBACK_PUBLIC_URL" in answer.text
        assert client.post("/phones", data={"name": ""}).status_code in (400, 409)


def test_rename_and_revoke(service: Service, customer: Customer, manager: SignedIn) -> None:
    service.send(customer.token, call())
    path = f"/phones/d{customer.id}-1"
    with browser(service, manager) as client:
        assert "Online" in client.get("/phones").text
        assert client.post(f"{path}/rename", data={"name": "Front <desk>"}).status_code == 303
        assert "Front &lt;desk&gt;" in client.get("/phones").text
        assert client.post(f"{path}/rename", data={"name": " "}).status_code == 400

        async def add(connection: Any) -> None:
            await connection.execute(
                "insert into devices (account_id, id, name, created_ms) values ($1, 99, 'Van', 1)", customer.id
            )

        on_database(service.database_url, add)
        taken = client.post(f"{path}/rename", data={"name": "Van"})
        assert taken.status_code == 409
        assert "phone of that name already" in taken.text
        assert "Imported" in client.get("/phones").text
        assert client.post(f"{path}/revoke").status_code == 303
        assert client.post(f"{path}/revoke").status_code == 303, "a form that was sent twice"
        assert "Revoked" in client.get("/phones").text
    assert service.sync(customer.token, {"calls": []}).status_code == 401


def test_health_and_gaps(service: Service, customer: Customer, manager: SignedIn) -> None:
    async def make_silent(connection: Any) -> None:
        await connection.execute(
            "update devices set last_seen_ms = 1761231000000, contact_ms = 1761231000000, battery = 8, outbox = 1234,"
            " synced_through_ms = 1761230000000 where account_id = $1",
            customer.id,
        )
        await connection.execute(
            "insert into gaps (account_id, id, device_id, from_ms, to_ms)"
            " values ($1, 1, 1, 1761000000000, 1761100000000)",
            customer.id,
        )

    service.send(customer.token, call())
    on_database(service.database_url, make_silent)
    with browser(service, manager) as client:
        text = client.get("/phones").text
        assert "Silent" in text
        assert "agent.pyz doctor" in text
        assert "8%" in text
        assert "1,234" in text
        assert "calls may be missing" in text
        overview = client.get("/").text
        assert "is silent" in overview
        assert "1 stretch of time" in overview
        gap = f"/phones/d{customer.id}-1/gaps/g{customer.id}-1/close"
        assert client.post(gap).status_code == 303
        assert "calls may be missing" not in client.get("/phones").text


def test_a_strangers_ids_are_not_found(service: Service, customer: Customer, manager: SignedIn) -> None:
    other = service.customer()
    service.send(other.token, call())
    with browser(service, manager) as client:
        for path in (
            f"/phones/d{other.id}-1/rename", f"/phones/d{other.id}-1/revoke",
            f"/phones/d{other.id}-1/gaps/g{other.id}-1/close", f"/phones/d{customer.id}-1/gaps/g{other.id}-1/close",
            f"/developers/keys/k{other.id}-1/revoke", "/developers/keys/x/revoke",
        ):  # fmt: skip
            assert client.post(path, data={"name": "x"}).status_code == 404, path
    assert service.http.get("/v1/devices", headers={"X-API-Key": other.key}).status_code == 200


def test_viewers_see_no_keys_and_no_forms(service: Service, customer: Customer) -> None:
    viewer = make_member(service.database_url, customer.id, "viewer")
    with browser(service, viewer) as client:
        assert 'method="post" action="/phones' not in client.get("/phones").text
        text = client.get("/developers").text
        assert "/developers/keys" not in text
        assert "YOUR_API_KEY" in text


def test_every_example_of_curl_and_python_works(service: Service, manager: SignedIn) -> None:
    with browser(service, manager) as client:
        assert client.post("/developers/keys", data={"name": ""}).status_code == 400
        text = client.post("/developers/keys", data={"name": "CRM"}).text
        [key] = set(re.findall(r"rbk_\w+", text))
        assert "YOUR_API_KEY" not in text
        assert key not in client.get("/developers").text
        blocks = [html.unescape(one) for one in re.findall(r'<code x-ref="text">(.*?)</code>', text, re.DOTALL)]
        for start, command in (("curl", ["sh", "-c"]), ("import json", ["python3", "-c"])):
            found = [one for one in blocks if one.startswith(start)]
            assert len(found) == 4
            for line in found:
                shown = subprocess.run([*command, line], capture_output=True, text=True, check=True).stdout
                assert "success" in shown, line
        assert client.get("/developers").text.count(">never<") == 1, "the other key"
        [path] = re.findall(r"/developers/keys/[\w-]+/revoke", client.get("/developers").text)[:1]
        assert client.post(path).status_code == 303
    assert service.http.get("/call/missed/list/", headers={"X-API-Key": key}).status_code == 403


def test_arrival_is_told_once_it_came(service: Service, customer: Customer, manager: SignedIn) -> None:
    with browser(service, manager) as client:
        assert client.get("/phones/arrived?name=phone&since=1").status_code == 204
        service.send(customer.token, call())
        answer = client.get("/phones/arrived?name=phone&since=1")
        assert answer.headers["hx-redirect"] == f"/phones?arrived=d{customer.id}-1"
        assert client.get("/phones/arrived?name=phone&since=x").status_code == 204
        assert client.get(f"/phones/arrived?name=phone&since={10**30}").status_code == 204
    devices = on_database(service.database_url, lambda c: list_devices(c, customer.id))
    assert [device.name for device in devices] == ["phone"]
