"""The webhooks' pages: made, seen to fail, mended, sent again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from browser import LOOKS, check_look, opened
from receiver import Receiver, status
from ringback.times import DAY_MS, now_ms, rfc3339
from service import Customer, Service, SignedIn, make_member
from test_access import browser
from test_webhooks import LOCAL, fresh_call, verify


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def service(request: pytest.FixtureRequest, fresh: Callable[[str], str]) -> Iterator[Service]:
    service = Service(fresh(request.param), variables=LOCAL | {"RINGBACK_WEBHOOK_RETRIES": "0.5"})
    yield service
    service.stop()


@pytest.fixture
def shop(service: Service) -> Customer:
    return service.customer()


@pytest.fixture
def manager(service: Service, shop: Customer) -> SignedIn:
    return make_member(service.database_url, shop.id, "manager")


def test_make_one_see_it_fail_mend_it_and_send_again(
    chromium: Browser, service: Service, receiver: Receiver, shop: Customer, manager: SignedIn
) -> None:
    receiver.answer = status(500, b"<b>not now</b>")
    with opened(chromium, service, manager) as page:
        page.goto("/")
        page.get_by_role("link", name="Webhooks").click()
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("button", name="Make a webhook").click()
        secret = page.locator(".notice pre").inner_text()
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
        expect(page.get_by_text("Nothing has been sent yet.")).to_be_visible()
        page.get_by_role("button", name="Send a test").click()
        assert secret not in page.content()
        row = page.locator("#deliveries tbody tr").first
        expect(row).to_contain_text("Failed", timeout=20_000)
        expect(row).to_contain_text("A test")
        expect(page.locator(".state").first).to_contain_text("Failing")
        row.locator("summary").click()
        expect(row).to_contain_text("<b>not now</b>")

        receiver.answer = status(202)
        page.get_by_role("button", name=re.compile("^Send again: A test")).click()
        expect(page.locator("#deliveries tbody tr").first).to_contain_text("Delivered", timeout=20_000)
        service.send(shop.token, fresh_call("+12025550123"))
        received = receiver.wait_for(4)[-1]
        assert received.event["data"]["number"] == "+12025550123"
        verify(received, secret)
        page.reload()
        expect(page.locator(".state").first).to_contain_text("Active")
        expect(page.locator("#deliveries tbody tr").first).to_contain_text("A missed call")


def test_pause_change_replay_new_secret_and_delete(
    chromium: Browser, service: Service, receiver: Receiver, shop: Customer, manager: SignedIn
) -> None:
    with opened(chromium, service, manager) as page:
        page.goto("/webhooks")
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("button", name="Make a webhook").click()
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".state").first).to_contain_text("Paused")
        service.send(shop.token, fresh_call("+12025550123"))
        page.reload()
        expect(page.locator("#deliveries tbody tr")).to_contain_text("Held")
        page.get_by_role("button", name="Take it up again").click()
        expect(page.locator("#deliveries tbody tr")).to_contain_text("Delivered")
        page.get_by_text("Change address and events").click()
        page.get_by_label("Address").fill(f"{receiver.url}/new")
        page.get_by_role("button", name="Change", exact=True).click()
        expect(page.get_by_role("heading", name=f"{receiver.url}/new")).to_be_visible()
        page.get_by_label("First day").fill(rfc3339(now_ms() - DAY_MS)[:10])
        page.get_by_label("Last day").fill(rfc3339(now_ms())[:10])
        page.get_by_role("button", name="Send again", exact=True).last.click()
        expect(page.get_by_text("1 events are sent again.")).to_be_visible()
        assert receiver.wait_for(2)[1].path == "/hook/new"
        page.get_by_role("button", name="New secret").click()
        expect(page.locator(".notice pre")).to_contain_text("whsec_")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete").click()
        expect(page).to_have_url(re.compile("/webhooks$"))
        assert page.locator("table").count() == 0


@pytest.mark.parametrize("look", LOOKS)
def test_every_look(
    chromium: Browser, service: Service, receiver: Receiver, shop: Customer, manager: SignedIn, look: str
) -> None:
    receiver.answer = status(500, b"no" * 300)
    client = browser(service, manager)
    fields = {"url": f"{receiver.url}/{'long' * 40}", "call.missed": "1", "call.incoming": "1", "device.silent": "1"}
    made = client.post("/webhooks", data=fields)
    assert made.status_code == 200, made.text
    service.send(shop.token, fresh_call("+12025550123"))
    time.sleep(0.1)
    [target] = set(re.findall(r'action="(/webhooks/w[0-9-]+)/test"', made.text))
    with opened(chromium, service, manager, **LOOKS[look]) as page:
        for path in ("/webhooks", target):
            page.goto(path)
            for summary in page.locator("main summary").all():
                summary.click()
            check_look(page)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "events"),
        ({"url": "https://crm.example.org/"}, "events"),
        ({"url": "", "call.missed": "1"}, "url"),
        ({"url": "http://crm.example.org/", "call.missed": "1"}, "url"),
        ({"url": "https://10.0.0.1/<script>", "call.missed": "1"}, "url"),
    ],
)
def test_what_is_refused_is_said_where_it_stands(
    service: Service, receiver: Receiver, manager: SignedIn, fields: dict[str, str], field: str
) -> None:
    client = browser(service, manager)
    answer = client.post("/webhooks", data=fields)
    assert answer.status_code == 400
    assert f'id="error-{field}"' in answer.text
    assert "<script>" not in answer.text.replace("<script src", "")
    made = client.post("/webhooks", data={"url": receiver.url, "call.missed": "1"})
    [target] = set(re.findall(r'action="(/webhooks/w[0-9-]+)/change"', made.text))
    answer = client.post(f"{target}/change", data=fields)
    assert answer.status_code == 400
    assert f'id="error-{field}"' in answer.text
    answer = client.post(f"{target}/replay", data={"first": "2026-02-30", "last": "2026-03-01"})
    assert answer.status_code == 400
    assert 'id="error-first"' in answer.text


def test_it_is_for_managers(service: Service, receiver: Receiver, shop: Customer, manager: SignedIn) -> None:
    made = browser(service, manager).post("/webhooks", data={"url": receiver.url, "call.missed": "1"})
    [target] = set(re.findall(r'action="(/webhooks/w[0-9-]+)/test"', made.text))
    viewer = browser(service, make_member(service.database_url, shop.id, "viewer"))
    assert viewer.get("/webhooks").status_code == 403
    assert viewer.get(target).status_code == 403
    assert 'href="/webhooks"' not in viewer.get("/").text
    stranger = browser(service, make_member(service.database_url, service.customer().id, "owner"))
    assert stranger.get(target).status_code == 404
    for action in ("test", "pause", "resume", "secret", "delete", "replay"):
        answer = stranger.post(f"{target}/{action}", data={"first": "2026-01-01", "last": "2026-01-02"})
        assert answer.status_code == 404, action
