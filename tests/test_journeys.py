"""What people do, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import LOOKS, check_look, opened
from ringback.members import SETUP, create_link
from service import PASSWORD, Service, make_member, on_database

PAGES = ("/", "/settings")
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


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_in_every_look(chromium: Browser, service: Service, look: str) -> None:
    member = make_member(service.database_url, service.customer().id)
    with opened(chromium, service, member, **LOOKS[look]) as page:
        for path in PAGES:
            page.goto(path)
            check_look(page)
    with opened(chromium, service, refusals=1, **LOOKS[look]) as page:
        for path in PUBLIC:
            page.goto(path)
            check_look(page)


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
