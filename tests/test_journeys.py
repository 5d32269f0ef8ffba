"""What people do, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from browser import LOOKS, check_look, opened
from ringback.devices import rename_device
from ringback.members import SETUP, create_link
from service import PASSWORD, Service, SignedIn, call, free_port, make_member, new_name, on_database
from termux.simulator import Phone

PAGES = ("/", "/calls", "/phones", "/imports", "/webhooks", "/developers", "/settings", "/settings/two-factor")
NAMES = (
    "Nguyễn Văn Đức",
    "José Ñandú",
    "张伟",
    "محمد العتيبي",
    None,
    "A name of sixty characters, as businesses really have " * 2,
)
PUBLIC = ("/login", "/pair", "/nowhere")


@pytest.fixture(scope="module")
def service(fresh: Callable[[str], str]) -> Iterator[Service]:
    service = Service(fresh("sqlite"))
    yield service
    service.stop()


def press_to(page: Page, name: str) -> None:
    """Go on by the keyboard until the focus is on something of that name."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(e => (e.labels?.[0]?.innerText || e.ariaLabel || e.innerText || '').trim())(document.activeElement)"
        )
        if focused == name:
            return
    raise AssertionError(f"the keyboard does not reach {name}")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_set_up_by_keyboard_alone(chromium: Browser, fresh: Callable[[str], str], engine: str) -> None:
    service = Service(fresh(engine))
    try:
        secret = on_database(service.database_url, lambda c: create_link(c, SETUP))
        with opened(chromium, service) as page:
            page.goto(f"/setup/{secret}")
            for name, text in (
                ("Name of the account", "Bäckerei 面包"),
                ("E-mail address", "anna@example.org"),
                ("Password", PASSWORD),
            ):
                press_to(page, name)
                page.keyboard.type(text)
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name="Overview")).to_be_visible()
            page.keyboard.press("?")
            expect(page.get_by_role("dialog")).to_be_visible()
            page.keyboard.press("Escape")
            page.keyboard.press("g")
            page.keyboard.press("s")
            expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    finally:
        service.stop()


def test_sign_in_and_out(chromium: Browser, service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, refusals=1) as page:
        page.goto("/settings")
        page.get_by_label("E-mail address").fill(member.email)
        page.get_by_label("Password").fill("wrong password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("The e-mail address or the password is wrong.")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile("/settings$"))
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_change_language_and_theme(chromium: Browser, service: Service) -> None:
    member = make_member(service.database_url, service.customer().id, "viewer")
    with opened(chromium, service, member) as page:
        page.goto("/settings")
        page.get_by_label("Language", exact=True).select_option("العربية")
        page.get_by_label("Theme").select_option("dark")
        page.get_by_role("button", name="Save").first.click()
        expect(page.get_by_role("heading", name="الإعدادات")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 27)"


@pytest.fixture(scope="module")
def busy(service: Service) -> SignedIn:
    """The owner of an account with 3,000 calls of people with names in every script."""
    customer = service.customer(time_zone="Europe/Brussels")
    now = time.time_ns() // 1_000_000
    for batch in range(3):
        service.send(
            customer.token,
            *(
                call(
                    f"+3247000{n % 30:04}", ("missed", "incoming", "outgoing", "rejected")[n % 4], now - n * 1_500_000,
                    duration_sec=n % 90, cached_name=NAMES[n % len(NAMES)], geo_location="Bruxelles-Capitale",
                )
                for n in range(batch * 1_000 + 1, batch * 1_000 + 1_001)
            ),
        )  # fmt: skip
    return make_member(service.database_url, customer.id)


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_in_every_look(chromium: Browser, service: Service, busy: SignedIn, look: str) -> None:
    with opened(chromium, service, busy, refusals=1, **LOOKS[look]) as page:
        for path in PAGES:
            page.goto(path)
            check_look(page)
        page.goto("/calls")
        page.locator(".opens").first.click()
        expect(page.locator("tr.details")).to_be_visible()
        check_look(page)
        for link in (".opens", "a.name"):
            page.goto("/calls")
            page.goto(page.locator(link).first.get_attribute("href") or "")
            check_look(page)
        page.goto("/calls?kind=nonsense&weekday=3")
        check_look(page)
    with opened(chromium, service, refusals=1, **LOOKS[look]) as page:
        for path in PUBLIC:
            page.goto(path)
            check_look(page)


def test_every_page_while_there_is_nothing(chromium: Browser, service: Service) -> None:
    new = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, new, **LOOKS["narrow"]) as page:
        for path in PAGES:
            page.goto(path)
            check_look(page)


def test_find_a_call_by_an_accented_name(chromium: Browser, service: Service, busy: SignedIn) -> None:
    with opened(chromium, service, busy) as page:
        page.goto("/")
        page.keyboard.press("/")
        expect(page).to_have_url(re.compile("/calls#search$"))
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("nguyen van duc")
        expect(page).to_have_url(re.compile(r"/calls\?q=nguyen(\+|%20)van(\+|%20)duc$"))
        expect(page.locator("#found .name").first).to_have_text("Nguyễn Văn Đức")
        assert page.locator("#found tbody tr").count() == 50
        page.locator(".opens").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("tr.details")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("tr.details")).to_have_count(0)


def test_page_40_of_a_sorted_view_by_its_address(chromium: Browser, service: Service, busy: SignedIn) -> None:
    with opened(chromium, service, busy) as page:
        page.goto("/calls?sort=started_at&page=40")
        shown = page.locator(".opens").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        assert len(shown) == 50
        page.get_by_role("link", name="Next page").click()
        expect(page).to_have_url(re.compile(r"/calls\?sort=started_at&page=41$"))
        page.go_back()
        assert shown == page.locator(".opens").evaluate_all("links => links.map(link => link.getAttribute('href'))")


def test_read_search_and_page_without_javascript(chromium: Browser, service: Service, busy: SignedIn) -> None:
    with opened(chromium, service, busy, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("link", name=re.compile("missed calls not called back")).click()
        page.get_by_role("link", name="Calls", exact=True).click()
        page.get_by_label("Search names and numbers").fill("jose")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#found .name").first).to_have_text("José Ñandú")
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_text("Page 2")).to_be_visible()
        page.locator(".opens").first.click()
        expect(page.get_by_role("heading", name="Call", exact=True)).to_be_visible()


def test_the_heat_map_by_keyboard(chromium: Browser, service: Service, busy: SignedIn) -> None:
    with opened(chromium, service, busy) as page:
        page.goto("/")
        assert page.locator('.heat a[tabindex="0"]').count() == 7, "one tab stop a row"
        page.locator(".heat a").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"weekday=1&hour=1&"))


def test_a_day_of_the_chart_leads_to_its_calls(chromium: Browser, service: Service, busy: SignedIn) -> None:
    with opened(chromium, service, busy) as page:
        page.goto("/")
        page.locator("#chart .u-over").click()
        expect(page).to_have_url(re.compile(r"/calls\?from=(\d{4}-\d\d-\d\d)&to=\1$"))


def test_scripts_in_names_show_as_text(chromium: Browser, service: Service) -> None:
    """200 payloads as names, places, numbers and names of phones and accounts."""
    tags = ("script", "img src=x onerror=", "svg onload=", "a href=javascript:", "iframe srcdoc=",
            "details open ontoggle=", "input autofocus onfocus=", "style>@import'", "body onpageshow=",
            "math><mtext>")  # fmt: skip
    ends = ("", "'", '"', "</script>", "--></title>", "{{7*7}}", "${7*7}", "\u202e", "\u200b", "]]>")
    payloads = [f"{end}<{tag}alert({n}{k})>{end}" for n, tag in enumerate(tags) for k, end in enumerate(ends)]
    customer = service.customer()

    async def rename(connection: Any) -> None:
        await connection.execute("update accounts set name = $2 where id = $1", customer.id, payloads[3])
        await rename_device(connection, customer.id, "phone", payloads[5][:100])

    on_database(service.database_url, rename)
    now = time.time_ns() // 1_000_000
    reports = [call(f"+1{n:09}", "missed", now - n * 60_000, cached_name=text) for n, text in enumerate(payloads)]
    reports += [call(text[:100], "missed", now - n * 50_000, geo_location=text) for n, text in enumerate(payloads)]
    assert service.send(customer.token, *reports)["created"] == 200
    member = make_member(service.database_url, customer.id)
    with opened(chromium, service, member, refusals=1) as page:
        page.on("dialog", lambda _: pytest.fail("a script ran"))
        seen = ""
        for path in ("/", "/calls", "/calls?page=2", "/calls?page=3", "/calls?page=4", "/settings"):
            page.goto(path)
            seen += page.locator("body").inner_text()
            if path.startswith("/calls"):
                page.locator(".opens").first.click()
                expect(page.locator("tr.details")).to_be_visible()
                assert page.locator("main script, main img, main iframe, main math, main style, main body").count() == 0
        squeezed = "".join(seen.split())
        missing = [text for text in payloads if "".join(text.split()) not in squeezed]
        assert missing == []
        page.goto("/calls?q=<script>alert(1)</script>&kind=<img>&number=%22><script>")
        page.goto("/calls")


def test_menu_at_390_px(chromium: Browser, service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, member, **LOOKS["narrow"]) as page:
        page.goto("/")
        link = page.get_by_role("link", name="Settings")
        expect(link).to_be_hidden()
        page.get_by_role("button", name="Menu").click()
        link.click()
        expect(page).to_have_url(re.compile("/settings$"))
    with opened(chromium, service, member, java_script_enabled=False, **LOOKS["narrow"]) as page:
        page.goto("/")
        page.get_by_role("link", name="Settings").click()
        expect(page).to_have_url(re.compile("/settings$"))


def test_log_in_with_a_second_factor(chromium: Browser, service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, member) as page:
        page.goto("/settings")
        page.get_by_role("link", name="Turn on").click()
        check_look(page)
        secret = page.locator(".copy code").inner_text()
        page.get_by_label("Code of your authenticator app").fill(pyotp.TOTP(secret).now())
        page.get_by_role("button", name="Turn on").click()
        expect(page.get_by_text("It is on")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("E-mail address").fill(member.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        # The code of the step that was used to turn it on is not taken again; the next one is.
        page.get_by_label("Code of your authenticator app").fill(pyotp.TOTP(secret).at(time.time() + 30))
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_invite_a_viewer_who_may_not_change_anything(chromium: Browser, service: Service) -> None:
    owner = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, owner) as page:
        page.goto("/settings")
        page.get_by_label("E-mail address").fill(f"{new_name('viewer')}@example.org")
        page.get_by_role("button", name="Make a link").click()
        link = page.locator(".notice code").inner_text()
    with opened(chromium, service) as page:
        page.goto(link)
        page.get_by_label("Choose a password").fill(PASSWORD)
        page.get_by_role("button", name="Join").click()
        page.get_by_role("link", name="Settings").click()
        expect(page.get_by_role("heading", name="Members")).to_be_visible()
        expect(page.get_by_role("button", name="Make a link")).to_have_count(0)
        expect(page.get_by_label("Name of the account")).to_have_count(0)


def test_end_another_session(chromium: Browser, service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    with opened(chromium, service) as phone, opened(chromium, service, member) as page:
        phone.goto("/login")
        phone.get_by_label("E-mail address").fill(member.email)
        phone.get_by_label("Password").fill(PASSWORD)
        phone.get_by_role("button", name="Sign in").click()
        expect(phone.get_by_role("heading", name="Overview")).to_be_visible()
        page.goto("/settings")
        page.get_by_role("button", name=re.compile("End the session of Mozilla")).click()
        expect(page.get_by_role("button", name=re.compile("End the session"))).to_have_count(1)
        phone.goto("/settings")
        expect(phone.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_pair_the_simulated_phone_and_see_its_calls(
    chromium: Browser, fresh: Callable[[str], str], tmp_path: Path, engine: str
) -> None:
    port = free_port()
    service = Service(fresh(engine), variables={"RINGBACK_PUBLIC_URL": f"http://127.0.0.1:{port}"}, port=port)
    try:
        member = make_member(service.database_url, service.customer().id, "manager")
        phone = Phone(tmp_path)
        phone.call("+32470000001", time.time_ns() // 1_000_000 - 60_000, name="Nguyễn Thị Hồng")
        with opened(chromium, service, member) as page:
            page.goto("/phones")
            page.get_by_label("Name of the phone").fill("Anna's <phone>")
            page.get_by_role("button", name="Show the code").click()
            check_look(page)
            link = page.locator(".copy code").first.inner_text()
            phone.ok("pair", link)
            expect(page.get_by_text("Paired. Its calls come with the first sync.")).to_be_visible()
            phone.ok("sync")
            page.get_by_role("link", name="Calls of Anna's <phone>").click()
            expect(page.locator("#found .name").first).to_have_text("Nguyễn Thị Hồng")
    finally:
        service.stop()


def test_make_a_key_run_the_copied_line_and_revoke_it(chromium: Browser, service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call("+32470000001", date_ms=time.time_ns() // 1_000_000 - 60_000))
    member = make_member(service.database_url, customer.id, "manager")
    with opened(chromium, service, member, refusals=1, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto("/developers")
        page.get_by_label("What it is for").fill("CRM")
        page.get_by_role("button", name="Make a key").click()
        check_look(page)
        page.locator(".copy", has_text="curl").first.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("Copied").first).to_be_visible()
        line = page.evaluate("navigator.clipboard.readText()")
        shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
        assert json.loads(shown)["data"][0]["number"] == "+32470000001"
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".answer")).to_contain_text("+32470000001")
        expect(page.get_by_text("200 OK")).to_be_visible()
        key = page.get_by_label("Key", exact=True).input_value()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke CRM").click()
        expect(page.get_by_role("cell", name="Revoked")).to_be_visible()
        assert "invalid_apikey" in subprocess.run(["sh", "-c", line], capture_output=True, text=True).stdout
        page.get_by_label("Paste a key").fill(key)
        expect(page.locator(".copy code").first).to_contain_text(key)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("403 Forbidden")).to_be_visible()


def test_copy_without_a_clipboard(chromium: Browser, service: Service) -> None:
    """As on plain http in a network at home."""
    member = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, member) as page:
        page.add_init_script("delete Navigator.prototype.clipboard; document.execCommand = () => false")
        page.goto("/developers")
        page.get_by_role("button", name="Copy").first.click()
        expect(page.get_by_text("Selected: copy it now").first).to_be_visible()
        assert str(page.evaluate("getSelection().toString()")).startswith("curl")


def test_see_a_silent_phone_and_a_gap(chromium: Browser, service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call())

    async def fall_silent(connection: Any) -> None:
        await connection.execute("update devices set last_seen_ms = 1761231000000 where account_id = $1", customer.id)
        await connection.execute(
            "insert into gaps (account_id, id, device_id, from_ms, to_ms)"
            " values ($1, 1, 1, 1761000000000, 1761100000000)",
            customer.id,
        )

    on_database(service.database_url, fall_silent)
    member = make_member(service.database_url, customer.id, "manager")
    for look in LOOKS.values():
        with opened(chromium, service, member, **look) as page:
            page.goto("/phones")
            check_look(page)
    with opened(chromium, service, member) as page:
        page.goto("/")
        page.get_by_role("link", name="See what to do").first.click()
        expect(page.get_by_text("Silent", exact=True)).to_be_visible()
        page.get_by_role("button", name="That is dealt with").click()
        expect(page.get_by_text("calls may be missing")).to_have_count(0)


def test_rename_a_phone_and_change_the_language_by_keyboard_alone(chromium: Browser, service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call())
    member = make_member(service.database_url, customer.id, "manager")
    with opened(chromium, service, member) as page:
        page.goto("/")
        page.keyboard.press("g")
        page.keyboard.press("p")
        expect(page.get_by_role("heading", name="Phones")).to_be_visible()
        press_to(page, "Rename or revoke")
        page.keyboard.press("Enter")
        press_to(page, "New name of phone")
        page.keyboard.press("Control+a")
        page.keyboard.type("Front desk")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Front desk")).to_be_visible()
        page.keyboard.press("g")
        page.keyboard.press("s")
        expect(page.get_by_role("heading", name="Settings")).to_be_visible()
        press_to(page, "Language")
        page.keyboard.press("End")
        press_to(page, "Theme")
        press_to(page, "Save")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="الإعدادات")).to_be_visible()
