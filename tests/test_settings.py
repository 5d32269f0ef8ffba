"""Settings: password, second factor, sessions, the account, members; by owner, viewer and stranger."""

from __future__ import annotations

import re
from typing import Any

import httpx2 as httpx
import pyotp
import pytest

from ringback.members import add_member, find_person
from service import PASSWORD, Customer, Service, SignedIn, make_member, new_name, on_database
from test_access import browser


@pytest.fixture
def customer(service: Service) -> Customer:
    return service.customer()


@pytest.fixture
def owner(service: Service, customer: Customer) -> SignedIn:
    return make_member(service.database_url, customer.id)


def person_id(service: Service, member: SignedIn) -> int:
    person = on_database(service.database_url, lambda c: find_person(c, member.email))
    assert person
    return person.id


def sign_in(client: httpx.Client, member: SignedIn, password: str = PASSWORD) -> int:
    return client.post("/login", data={"email": member.email, "password": password}).status_code


def test_change_the_password(service: Service, owner: SignedIn) -> None:
    with browser(service, owner) as client, browser(service) as other:
        assert sign_in(other, owner) == 303
        for fields, sentence in (
            ({"password": "wrong", "new_password": "a new password"}, "The password is wrong."),
            ({"password": PASSWORD, "new_password": "short"}, "at least 10 characters"),
        ):
            answer = client.post("/settings/password", data=fields)
            assert answer.status_code == 400
            assert sentence in answer.text
        fields = {"password": PASSWORD, "new_password": "a new password"}
        assert client.post("/settings/password", data=fields).status_code == 303
        assert client.get("/settings").status_code == 200
        assert other.get("/settings").status_code == 303, "all other sessions end"
        assert sign_in(other, owner) == 403
        assert sign_in(other, owner, "a new password") == 303


def test_a_stolen_session_cannot_try_many_passwords(service: Service, owner: SignedIn) -> None:
    with browser(service, owner) as client:
        fields = {"password": "wrong", "new_password": "a new password"}
        statuses = [client.post("/settings/password", data=fields).status_code for _ in range(6)]
    assert statuses == [400] * 5 + [429]
    on_database(service.database_url, lambda c: c.execute("delete from login_tries"))


def test_second_factor_on_and_off(service: Service, owner: SignedIn) -> None:
    with browser(service, owner) as client, browser(service) as other:
        assert sign_in(other, owner) == 303
        secret = re.findall(r'name="secret" value="(\w+)"', client.get("/settings/two-factor").text)[0]
        wrong = client.post("/settings/two-factor", data={"secret": secret, "code": "123"})
        assert "The code is wrong" in wrong.text
        assert secret in wrong.text, "the app need not scan anew"
        bad = client.post("/settings/two-factor", data={"secret": "!!", "code": "123"})
        assert bad.headers["location"] == "/settings/two-factor"
        code = pyotp.TOTP(secret).now()
        assert client.post("/settings/two-factor", data={"secret": secret, "code": code}).status_code == 303
        assert "It is on" in client.get("/settings").text
        assert other.get("/settings").status_code == 303, "sessions without the factor end"
        assert sign_in(other, owner) == 303
        assert other.get("/settings").status_code == 303
        assert client.post("/settings/two-factor/off", data={"off_password": "wrong"}).status_code == 400
        assert client.post("/settings/two-factor/off", data={"off_password": PASSWORD}).status_code == 303
        assert "It is off" in client.get("/settings").text
    on_database(service.database_url, lambda c: c.execute("delete from login_tries"))


def test_end_a_session_and_not_a_strangers(service: Service, customer: Customer, owner: SignedIn) -> None:
    stranger = make_member(service.database_url, customer.id)
    with browser(service, owner) as client, browser(service) as other, browser(service, stranger) as third:
        other.headers["User-Agent"] = "Firefox on a <b>tablet</b>"
        assert sign_in(other, owner) == 303
        text = client.get("/settings").text
        assert "Firefox on a &lt;b&gt;tablet&lt;/b&gt;" in text
        ends = re.findall(r"/settings/sessions/[\w-]+/end", text)
        assert len(ends) == 2
        for path in ends:
            assert third.post(path).status_code == 303
        assert other.get("/settings").status_code == 200
        mine = text.index("This one")
        [end] = [path for path in ends if path != re.findall(r"/settings/sessions/[\w-]+/end", text[mine:])[0]]
        client.post(end)
        client.post(end)
        assert other.get("/settings").status_code == 303
        assert client.get("/settings").status_code == 200


def test_the_account(service: Service, customer: Customer, owner: SignedIn) -> None:
    name = new_name("Größe 大")
    with browser(service, owner) as client:
        fields = {"name": name, "time_zone": "Asia/Tokyo", "account_language": "ar"}
        for wrong, sentence in (
            ({"name": "x" * 101}, "1 to 100 characters"),
            ({"name": "a\nb"}, "no control characters"),
            ({"time_zone": "x"}, "no such time zone"),
            ({"name": service.customer().name}, "account of that name already"),
        ):
            answer = client.post("/settings/account", data=fields | wrong)
            assert answer.status_code == 400
            assert sentence in answer.text
        assert client.post("/settings/account", data=fields).status_code == 303
        text = client.get("/settings").text
        assert name in text
        assert 'value="Asia/Tokyo"' in text
        assert '<html lang="ar"' in text
        assert '<html lang="en"' in client.get("/settings", headers={"Accept-Language": "en"}).text


def test_members(service: Service, customer: Customer, owner: SignedIn) -> None:
    viewer = make_member(service.database_url, customer.id, "viewer")
    stranger = make_member(service.database_url, service.customer().id)
    path, strange = (f"/settings/members/{person_id(service, one)}" for one in (viewer, stranger))
    with browser(service, owner) as client, browser(service, viewer) as theirs:
        assert "/settings/members" not in theirs.get("/settings").text
        shown = client.post("/settings/members", data={"email": "new@example.org", "role": "manager"}).text
        [link] = re.findall(r"https?://[^<]+/invite/[\w-]+", shown)
        assert link not in client.get("/settings").text
        assert client.post("/settings/members", data={"email": "nobody", "role": "x"}).status_code == 400
        assert client.post(f"{path}/role", data={"role": "member"}).status_code == 303
        assert "Member: also imports" in theirs.get("/settings").text
        assert client.post(f"{path}/role", data={"role": "emperor"}).status_code == 400
        mine = f"/settings/members/{person_id(service, owner)}"
        for change in ("role", "remove"):
            answer = client.post(f"{mine}/{change}", data={"role": "viewer"})
            assert answer.status_code == 409
            assert "last owner" in answer.text
        for change in ("role", "remove", "reset"):
            assert client.post(f"{strange}/{change}", data={"role": "viewer"}).status_code == 404
        reset = client.post(f"{path}/reset").text
        assert re.search(r"https?://[^<]+/reset/[\w-]+", reset)
        assert client.post(f"{path}/remove").status_code == 303
        assert client.post(f"{path}/remove").status_code == 404, "two people removed the same member"
        assert theirs.get("/settings").status_code == 303


def test_no_owner_gets_into_another_account_by_a_reset(service: Service, customer: Customer, owner: SignedIn) -> None:
    other = service.customer()
    member = make_member(service.database_url, other.id)
    id = person_id(service, member)

    async def join(connection: Any) -> None:
        await add_member(connection, customer.id, id, "viewer")

    on_database(service.database_url, join)
    with browser(service, owner) as client:
        answer = client.post(f"/settings/members/{id}/reset")
        assert answer.status_code == 409
        assert "/reset/" not in answer.text.split("<table>")[0]
    with browser(service, member) as client:
        assert client.post("/settings/switch", data={"account": str(customer.id)}).status_code == 303
        assert customer.name in client.get("/settings").text
        assert client.post("/settings/account", data={"name": "x", "time_zone": "UTC"}).status_code == 403
        assert client.post("/settings/switch", data={"account": str(service.customer().id)}).status_code == 404
        assert client.post("/settings/switch", data={"account": "²"}).status_code == 404
