"""Coming in: set-up, login, second factor, invitations, resets, roles; and what is refused."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pyotp
import pytest

from ringback.accounts import create_account
from ringback.members import INVITE, LOGIN, RESET, ROLES, SETUP, add_member, create_link, find_person, set_totp
from ringback.web.app import ROUTES
from service import PASSWORD, Service, SignedIn, make_member, on_database, run

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def empty(database_url: str) -> Iterator[Service]:
    """A server without a person."""
    service = Service(database_url)
    yield service
    service.stop()


def browser(service: Service, member: SignedIn | None = None) -> httpx.Client:
    """What a browser sends, without its scripts."""
    headers = PAGE | {"Origin": service.url}
    cookies = member.cookies if member else None
    return httpx.Client(base_url=service.url, headers=headers, cookies=cookies, trust_env=False, timeout=30)


def link(service: Service, purpose: str, **more: Any) -> str:
    return f"/{purpose}/{on_database(service.database_url, lambda c: create_link(c, purpose, **more))}"


def expire_links(service: Service) -> None:
    on_database(service.database_url, lambda c: c.execute("update links set expires_ms = 1"))


def test_set_up_by_the_link_that_serve_prints(fresh: Callable[[str], str], tmp_path: Any) -> None:
    with (tmp_path / "log").open("w+") as log:
        service = Service(fresh("sqlite"), log=log)
        try:
            deadline = time.monotonic() + 30
            while not (found := re.search(r"/setup/\S+", (tmp_path / "log").read_text())):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            set_up(service, found[0])
            service.kill()
            service.start()
            time.sleep(1)
            assert (tmp_path / "log").read_text().count(f"{service.url}/setup/") == 1  # somebody can sign in now
        finally:
            service.stop()


def set_up(service: Service, path: str) -> None:
    with browser(service) as client:
        assert "the first here" in client.get(path).text
        fields = {
            "name": "Bäckerei 面包",
            "time_zone": "Europe/Paris",
            "email": " Anna@Example.org ",
            "password": "123456789",
        }
        for wrong, sentence in (
            ({}, "at least 10 characters"),
            ({"password": PASSWORD, "email": "anna"}, "looks like name@example.org"),
            ({"password": PASSWORD, "time_zone": "Mars/Olympus"}, "no such time zone"),
            ({"password": PASSWORD, "name": "x" * 101}, "1 to 100 characters"),
            ({"password": "x" * 1_001}, "at most 1,000"),
        ):
            answer = client.post(path, data=fields | wrong)
            assert answer.status_code == 400
            assert sentence in answer.text
            assert PASSWORD not in answer.text
        answer = client.post(path, data=fields | {"password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "Bäckerei 面包" in client.get("/").text
        assert client.get(path).status_code == 403
        assert client.post(path, data=fields | {"password": PASSWORD}).status_code == 403


def test_set_up_claims_an_account_that_exists(empty: Service) -> None:
    account = on_database(empty.database_url, lambda c: create_account(c, "shop"))
    old, path = link(empty, SETUP), link(empty, SETUP)
    with browser(empty) as client:
        assert client.get(old).status_code == 404, "a newer link ends the older ones"
        assert ">shop<" in client.get(path).text
        fields = {"account": str(account.id), "email": "a@example.org", "password": PASSWORD}
        taken = client.post(path, data=fields | {"account": "", "name": "shop"})
        assert "account of that name already" in taken.text
        client.post(path, data=fields)
        assert "shop" in client.get("/").text
    listed = run("member", "list", "--account", "shop", "--format", "csv", RINGBACK_DATABASE_URL=empty.database_url)
    assert re.fullmatch(r"a@example.org,owner,False,.+", listed.stdout.splitlines()[1])


def test_login_and_logout(service: Service) -> None:
    customer = service.customer()
    member = make_member(service.database_url, customer.id)
    with browser(service) as client:
        answer = client.get("/settings?x=%C3%A9")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/settings%3Fx%3D%25C3%25A9")
        for email, password in ((member.email, "wrong password"), ("nobody@example.org", PASSWORD)):
            answer = client.post("/login", data={"email": email, "password": password})
            assert answer.status_code == 403
            assert "The e-mail address or the password is wrong." in answer.text
            assert password not in answer.text
        answer = client.post("/login", data={"email": member.email.upper(), "password": PASSWORD, "next": "/settings"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
        [cookie] = [c for c in answer.headers.get_list("set-cookie") if c.startswith("ringback_session=")]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        assert client.get("/settings").status_code == 200
        secret = client.cookies["ringback_session"]
        assert client.post("/logout").status_code == 303
        assert client.get("/settings", headers={"Cookie": f"ringback_session={secret}"}).status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "\\x"]
)
def test_next_leads_to_no_other_host(service: Service, target: str) -> None:
    member = make_member(service.database_url, service.customer().id)
    with browser(service) as client:
        answer = client.post("/login", data={"email": member.email, "password": PASSWORD, "next": target})
        assert answer.headers["location"] == "/"
        assert client.get("/login", params={"next": target}).headers["location"] == "/"


def test_ten_wrong_passwords(service: Service) -> None:
    customer = service.customer()
    member, other = (make_member(service.database_url, customer.id) for _ in range(2))
    with browser(service) as client:
        statuses = [
            client.post("/login", data={"email": member.email, "password": f"wrong {n}"}).status_code for n in range(10)
        ]
        assert statuses == [403] * 5 + [429] * 5
        answer = client.post("/login", data={"email": member.email, "password": PASSWORD})
        assert answer.status_code == 429
        assert "Wait a quarter of an hour" in answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert client.post("/login", data={"email": other.email, "password": PASSWORD}).status_code == 303
    on_database(service.database_url, lambda c: c.execute("delete from login_tries"))


def test_too_many_tries_of_an_address(empty: Service) -> None:
    with browser(empty) as client:
        statuses = [
            client.post("/login", data={"email": f"{n}@example.org", "password": "wrong"}).status_code
            for n in range(22)
        ]
    assert statuses == [403] * 20 + [429] * 2


def test_second_factor(service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    secret = pyotp.random_base32()

    async def protect(connection: Any) -> None:
        person = await find_person(connection, member.email)
        assert person
        await set_totp(connection, person.id, secret, None)

    on_database(service.database_url, protect)
    with browser(service) as client:
        answer = client.post("/login", data={"email": member.email, "password": PASSWORD, "next": "/settings"})
        assert answer.headers["location"] == "/login?next=/settings"
        assert client.get("/settings").status_code == 303, "a password alone opens nothing"
        assert "authenticator app" in client.get("/login").text
        assert client.post("/login", data={"code": "000000"}).status_code == 403
        code = pyotp.TOTP(secret).now()
        answer = client.post("/login", data={"code": f"{code[:3]} {code[3:]}", "next": "/settings"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
        assert client.get("/settings").status_code == 200
    with browser(service) as client:
        client.post("/login", data={"email": member.email, "password": PASSWORD})
        assert client.post("/login", data={"code": code}).status_code == 403, "a code works once"
    on_database(service.database_url, lambda c: c.execute("delete from login_tries"))


def test_invitation(service: Service) -> None:
    customer = service.customer()
    made = run(
        "member", "invite", "--account", customer.name, "Bob@example.net", "--role", "member",
        RINGBACK_DATABASE_URL=service.database_url, RINGBACK_PUBLIC_URL=service.url,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    path = made.stdout.strip().removeprefix(service.url)
    on_database(service.database_url, lambda c: c.execute("delete from people where email = 'bob@example.net'"))
    with browser(service) as client:
        assert "bob@example.net" in client.get(path).text
        assert client.post(path, data={"password": "short"}).status_code == 400
        assert client.post(path, data={"password": PASSWORD}).status_code == 303
        assert customer.name in client.get("/").text
        assert client.get(path).status_code == 403
        assert client.post(path, data={"password": PASSWORD}).status_code == 403
    other = service.customer()
    path = link(service, INVITE, account_id=other.id, email="bob@example.net", role="viewer")
    with browser(service) as client:
        assert "sign in with already" in client.get(path).text
        assert client.post(path, data={"password": "another password"}).status_code == 403
        assert client.post(path, data={"password": PASSWORD}).status_code == 303
        assert other.name in client.get("/").text

    async def forget(connection: Any) -> None:
        person = await find_person(connection, "bob@example.net")
        assert person
        await connection.execute("delete from members where person_id = $1", person.id)
        await connection.execute("delete from sessions where person_id = $1", person.id)
        await connection.execute("delete from people where id = $1", person.id)

    on_database(service.database_url, forget)


def test_reset(service: Service) -> None:
    customer = service.customer()
    member = make_member(service.database_url, customer.id)
    variables = {"RINGBACK_DATABASE_URL": service.database_url, "RINGBACK_PUBLIC_URL": service.url}
    path = run("member", "reset", "--account", customer.name, member.email, **variables).stdout.strip()
    path = path.removeprefix(service.url)
    with browser(service, member) as client:
        assert client.get("/").status_code == 200
        assert client.post(path, data={"password": "short"}).status_code == 400
        assert client.post(path, data={"password": "another long password"}).headers["location"] == "/login"
        assert client.get("/").status_code == 303, "all sessions end"
        assert client.post("/login", data={"email": member.email, "password": PASSWORD}).status_code == 403
        good = client.post("/login", data={"email": member.email, "password": "another long password"})
        assert good.status_code == 303
        assert client.post(path, data={"password": "a third long password"}).status_code == 403


def test_links_that_lead_nowhere(service: Service) -> None:
    customer = service.customer()
    member = make_member(service.database_url, customer.id)
    paths = [
        link(service, INVITE, account_id=customer.id, email="x@example.org", role="viewer"),
        link(service, RESET, email=member.email),
        link(service, LOGIN, email=member.email),
    ]
    with browser(service) as client:
        for purpose in (SETUP, INVITE, RESET, LOGIN):
            answer = client.get(f"/{purpose}/wrong")
            assert answer.status_code == 404
            assert "nothing at this address" in answer.text
        expire_links(service)
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 403
            assert "To the overview" in answer.text


def test_login_link_works_once(service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    path = link(service, LOGIN, email=member.email)
    with browser(service) as client:
        assert client.get(path).status_code == 303
        assert client.get("/").status_code == 200
        assert client.get(path).status_code == 403


def test_the_last_owner_stays(service: Service) -> None:
    customer = service.customer()
    owner = make_member(service.database_url, customer.id)
    variables = {"RINGBACK_DATABASE_URL": service.database_url}
    refused = run("member", "remove", "--account", customer.name, owner.email, **variables)
    assert refused.returncode == 1
    assert "last owner" in refused.stderr
    second = make_member(service.database_url, customer.id)
    assert run("member", "remove", "--account", customer.name, owner.email, **variables).returncode == 0
    with browser(service, owner) as client:
        assert client.get("/").status_code == 303
    with browser(service, second) as client:
        assert client.get("/").status_code == 200
    assert run("member", "remove", "--account", customer.name, owner.email, **variables).returncode == 1


def changing_routes() -> list[tuple[str, str, dict[str, Any]]]:
    """Every request that changes something: its method, its path and what opens it."""
    return [
        (method, re.sub(r"\{[^}]+\}", "x1-1", re.sub(r"\{\w+:int\}", "999999", path)), handler.opt)
        for handler in ROUTES
        for path in sorted(handler.paths)
        for method in sorted(handler.http_methods)
        if method not in ("GET", "HEAD", "OPTIONS")
    ]


@pytest.mark.parametrize(("method", "path", "opt"), changing_routes())
def test_changes_need_origin_session_and_role(
    service: Service, roles: dict[str, SignedIn], method: str, path: str, opt: dict[str, Any]
) -> None:
    access = opt["access"]
    ours = {"Origin": service.url}
    with httpx.Client(base_url=service.url, trust_env=False, headers=PAGE) as client:

        def status(member: SignedIn | None = None, **headers: str) -> int:
            cookies = {"Cookie": f"ringback_session={member.secret}"} if member else {}
            return client.request(method, path, headers=headers | cookies, content=b"").status_code

        if access == "public":
            assert path == "/v1/devices/pair", "what everybody may change is named here"
            return
        if access == "token":
            assert status(roles["owner"], **ours) == 401
            return
        for origin in (
            {},
            {"Origin": "null"},
            {"Origin": "http://["},
            {"Origin": "http://"},
            {"Origin": "https://evil.example"},
            {"Origin": service.url + ".evil.example"},
        ):
            assert status(roles["owner"], **origin) == 403, origin
        if access == "form":
            return
        assert status(**ours) in (303, 401)
        assert status(SignedIn("", "made-up"), **ours) in (303, 401)
        needed = opt.get("role", "manager")
        for role in ROLES[: ROLES.index(needed)]:
            assert status(roles[role], **ours) == 403, role
        if path != "/logout":
            assert status(roles[needed], **ours) not in (401, 403)


@pytest.fixture(scope="module")
def roles(service: Service) -> dict[str, SignedIn]:
    """A member of each role."""
    account = service.customer()
    return {role: make_member(service.database_url, account.id, role) for role in ROLES}


def test_everything_is_closed_by_default() -> None:
    words = {"public", "form", "session", "api_key", "api_key_for_ever", "key", "token", "token_or_key"}
    assert all(handler.opt.get("access") in words for handler in ROUTES)
    for handler in ROUTES:
        if handler.opt["access"] == "session":
            assert handler.opt["role"] in ROLES


def test_behind_a_proxy_with_tls(fresh: Callable[[str], str]) -> None:
    variables = {"RINGBACK_PUBLIC_URL": "https://calls.example.org"}
    service = Service(fresh("sqlite"), variables=variables)
    try:
        member = make_member(service.database_url, service.customer().id)
        fields = {"email": member.email, "password": PASSWORD}
        answer = httpx.post(
            f"{service.url}/login", data=fields, headers=PAGE | {"Origin": "https://calls.example.org"}, trust_env=False
        )
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
    finally:
        service.stop()


def test_a_session_opens_the_v1_interface(service: Service) -> None:
    customer = service.customer()
    viewer = make_member(service.database_url, customer.id, "viewer")
    with httpx.Client(base_url=service.url, cookies=viewer.cookies, trust_env=False) as client:
        assert client.get("/v1/devices").json()["devices"][0]["name"] == "phone"
        id = client.get("/v1/devices").json()["devices"][0]["id"]
        answer = client.patch(f"/v1/devices/{id}", json={"name": "x"}, headers={"Origin": service.url})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_errors_are_pages_for_browsers_alone(service: Service) -> None:
    with browser(service) as client:
        answer = client.get("/nowhere")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert client.get("/v1/nowhere").json()["code"] == "not_found"
        assert client.get("/call/nowhere").json()["error"] == "not_found"
        assert client.put("/login").status_code == 405
        assert client.get("/nowhere", headers={"Accept": "application/json"}).json()["error"] == "not_found"


def test_a_person_of_two_accounts_who_loses_one(service: Service) -> None:
    first, second = service.customer(), service.customer()
    member = make_member(service.database_url, first.id, "viewer")

    async def join(connection: Any) -> None:
        person = await find_person(connection, member.email)
        assert person
        await add_member(connection, second.id, person.id, "viewer")

    on_database(service.database_url, join)
    variables = {"RINGBACK_DATABASE_URL": service.database_url}
    assert run("member", "remove", "--account", first.name, member.email, **variables).returncode == 0
    with browser(service, member) as client:
        assert client.get("/").status_code == 303
        client.post("/login", data={"email": member.email, "password": PASSWORD})
        assert second.name in client.get("/").text


def test_delete_an_account_with_members(service: Service) -> None:
    customer = service.customer()
    member = make_member(service.database_url, customer.id)
    variables = {"RINGBACK_DATABASE_URL": service.database_url}
    assert run("account", "delete", customer.name, **variables).returncode == 0
    with browser(service, member) as client:
        assert client.get("/").status_code == 303
    assert on_database(service.database_url, lambda c: find_person(c, member.email)) is None
