"""A real Chromium without a window, and what every page must hold in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from service import SESSION_COOKIE, Service, SignedIn

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark and from right to left": {"color_scheme": "dark", "locale": "ar"},
    "narrow": {"viewport": {"width": 390, "height": 844}},
}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is missing: install the package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(
    chromium: Browser, service: Service, member: SignedIn | None = None, *, refusals: int = 0, **options: Any
) -> Iterator[Page]:
    """A page in a context of its own. At its end: no error in the console, no request to another host.

    `refusals`: how many answers of 400 and above the test means to get, which Chromium prints as errors.
    """
    context = chromium.new_context(base_url=service.url, **{"locale": "en-US", **options})
    context.set_default_timeout(20_000)
    if member:
        sign_in(context, service, member)
    errors: list[str] = []
    hosts: set[str] = set()
    context.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page = context.new_page()
    try:
        yield page
    finally:
        context.close()
    meant = [error for error in errors if "the server responded with a status of" in error]
    assert [error for error in errors if error not in meant] == []
    assert len(meant) == refusals, meant
    assert hosts <= {urlsplit(service.url).netloc, ""}, hosts


def sign_in(context: BrowserContext, service: Service, member: SignedIn) -> None:
    context.add_cookies([{"name": SESSION_COOKIE, "value": member.secret, "url": service.url}])


def check_look(page: Page) -> None:
    """No serious fault for people with other eyes and hands, and nothing wider than the window."""
    found = Axe().run(page, options={"preload": False}).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(
        [(fault["id"], [(node["html"], node["failureSummary"]) for node in fault["nodes"][:3]]) for fault in serious],
        indent=1,
    )
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, f"{page.url} is {width} px too wide"
