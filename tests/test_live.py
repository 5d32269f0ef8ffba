"""Pages that stay up to date, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import check_look, opened, sign_in
from service import Customer, Service, SignedIn, make_member, on_database
from test_webhooks import fresh_call


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def service(request: pytest.FixtureRequest, fresh: Callable[[str], str]) -> Iterator[Service]:
    service = Service(fresh(request.param), "--workers", "2")
    yield service
    service.stop()


@pytest.fixture
def shop(service: Service) -> Customer:
    shop = service.customer()
    service.send(shop.token, fresh_call("+12025550100"))
    return shop


@pytest.fixture
def viewer(service: Service, shop: Customer) -> SignedIn:
    return make_member(service.database_url, shop.id, "viewer")


def open_live(page: Page, path: str) -> None:
    """Open a page, and wait until it listens."""
    with page.expect_response(lambda answer: answer.url.endswith("/v1/events")):
        page.goto(path)


def send_and_measure(page: Page, service: Service, shop: Customer, number: str, text: str) -> float:
    """Seconds from a phone's answer until the page tells of its call."""
    service.send(shop.token, fresh_call(number))
    started = time.monotonic()
    expect(page.locator("#news")).to_contain_text(text)
    return time.monotonic() - started


@pytest.mark.parametrize("path", ["/", "/calls"])
def test_a_call_appears_on_an_open_page(
    chromium: Browser, service: Service, shop: Customer, viewer: SignedIn, path: str
) -> None:
    with opened(chromium, service, viewer) as page:
        open_live(page, path)
        expect(page.locator("#news")).to_be_hidden()
        place = page.locator("h1").bounding_box()
        print(f"{send_and_measure(page, service, shop, '+12025550101', '1 new call'):.2f} s")
        send_and_measure(page, service, shop, "+12025550102", "2 new calls")
        assert page.locator("h1").bounding_box() == place  # the line lies over the page
        if path == "/":
            expect(page.locator("#figures strong").first).to_have_text("3")
        else:
            assert page.locator("#found tbody tr").count() == 1  # nothing moves that is being read
        check_look(page)
        page.get_by_role("link", name="Show").click()
        expect(page.locator("#news")).to_be_hidden()
        expect(page.locator("main")).to_contain_text("+12025550102")


def test_other_pages_lead_to_the_calls(chromium: Browser, service: Service, shop: Customer, viewer: SignedIn) -> None:
    with opened(chromium, service, viewer, locale="fr") as page:
        open_live(page, "/settings")
        send_and_measure(page, service, shop, "+12025550101", "1 nouvel appel")
        page.locator("#news a").click()
        expect(page).to_have_url(re.compile("/calls$"))
        expect(page.locator("main")).to_contain_text("+12025550101")


def test_the_state_of_a_phone_changes_where_it_stands(
    chromium: Browser, service: Service, shop: Customer, viewer: SignedIn
) -> None:
    sql = "update devices set last_seen_ms = $2, contact_ms = $2, silent_ms = $2 where account_id = $1"
    on_database(service.database_url, lambda c: c.execute(sql, shop.id, 1_761_231_000_000))
    with opened(chromium, service, viewer) as page:
        open_live(page, "/phones")
        expect(page.locator(".phone .state")).to_contain_text("Silent")
        service.send(shop.token)
        expect(page.locator(".phone .state")).to_contain_text("Online")


def test_a_missed_call_rings_where_it_was_asked_to(
    chromium: Browser, service: Service, shop: Customer, viewer: SignedIn
) -> None:
    with opened(chromium, service, viewer, permissions=["notifications"]) as page:
        page.add_init_script(
            "window.rung = [];"
            "window.Notification = class { static permission = 'granted'; static async requestPermission()"
            " { return 'granted'; } constructor(title, options) { window.rung.push([title, options.body]); } };"
        )
        open_live(page, "/settings")
        send_and_measure(page, service, shop, "+12025550101", "1 new call")
        assert page.evaluate("window.rung") == []
        page.get_by_role("button", name="Ring here").click()
        expect(page.get_by_role("button", name="Ring here no more")).to_be_visible()
        service.send(shop.token, fresh_call("+12025550103", "incoming"))
        send_and_measure(page, service, shop, "+12025550102", "3 new calls")
        assert page.evaluate("window.rung") == [["Missed call", "+12025550102"]]
        page.get_by_role("button", name="Ring here no more").click()
        send_and_measure(page, service, shop, "+12025550104", "4 new calls")
        assert len(page.evaluate("window.rung")) == 1


def test_a_page_recovers_from_a_server_that_was_killed(chromium: Browser, fresh: Callable[[str], str]) -> None:
    service = Service(fresh("sqlite"))
    shop = service.customer()
    service.send(shop.token, fresh_call("+12025550100"))
    context = chromium.new_context(base_url=service.url, locale="en-US")
    sign_in(context, service, make_member(service.database_url, shop.id, "viewer"))
    page = context.new_page()
    open_live(page, "/")
    send_and_measure(page, service, shop, "+12025550101", "1 new call")
    service.kill()
    expect(page.locator("#lost")).to_be_visible(timeout=20_000)
    service.start()
    # What comes before the page is back is heard all the same.
    service.send(shop.token, fresh_call("+12025550102"), fresh_call("+12025550103"))
    expect(page.locator("#news")).to_contain_text("3 new calls", timeout=20_000)
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#figures strong").first).to_have_text("4")
    context.close()
    service.stop()
