"""Takes a picture of every page in light, dark, Arabic and 390 px, of a demo server, to be looked at one by one.

`make pictures` writes them to build/pictures; docs/pictures has those that the README shows.
"""

from __future__ import annotations

import html
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import ARGUMENTS
from service import RINGBACK, environment, free_port, run

FOLDER = Path("build/pictures")
PATHS = {
    "overview": "/", "calls": "/calls", "filters": "/calls?kind=missed&weekday=1", "nothing": "/calls?q=nobody",
    "phones": "/phones", "developers": "/developers", "settings": "/settings", "second-factor": "/settings/two-factor",
    "pair": "/pair#ABCD2345", "error": "/nowhere",
}  # fmt: skip
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"locale": "en-GB"},
    "dark": {"locale": "en-GB", "color_scheme": "dark"},
    "arabic": {"locale": "ar"},
    "vietnamese": {"locale": "vi"},
    "narrow": {"locale": "fr", "viewport": {"width": 390, "height": 844}},
}


def take(page: Page, name: str) -> None:
    page.wait_for_timeout(300)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)


TERMINAL = (
    "ringback list missed --account demo --limit 6",
    "ringback device list --account demo",
    "ringback list outgoing --account demo --q nguyen --limit 3",
)
STYLE = "background: #11151b; color: #e7ebf1; font: 14px/1.45 monospace; padding: 16px 20px; inline-size: fit-content"


def picture_terminal(browser: Browser, database_url: str) -> None:
    """What commands print, as a terminal shows it."""
    text = ""
    for command in TERMINAL:
        shown = run(*shlex.split(command)[1:], RINGBACK_DATABASE_URL=database_url, COLUMNS="112").stdout
        text += f"$ {command}\n{shown}\n"
    page = browser.new_page()
    page.set_content(f'<pre style="{STYLE}">{html.escape(text.strip())}</pre>')
    page.locator("pre").screenshot(path=FOLDER / "terminal.png")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as data:
        command = (*RINGBACK, "demo", "--port", str(free_port()))
        variables = environment(RINGBACK_DATA_DIR=data)
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            link = ""
            while not link:
                link = "".join(re.findall(r"http\S+/login/\S+", server.stdout.readline()))
            try:
                photograph(link, f"sqlite:///{data}/demo.db")
            finally:
                server.terminate()


def photograph(link: str, database_url: str) -> None:
    root = link.split("/login/")[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        picture_terminal(browser, database_url)
        page = browser.new_page()
        page.goto(link)
        session = page.context.cookies()
        for look, options in LOOKS.items():
            context = browser.new_context(base_url=root, **{"viewport": {"width": 1280, "height": 800}, **options})
            page = context.new_page()
            page.goto("/login")
            take(page, f"{look}-login")
            context.add_cookies(session)
            for name, path in PATHS.items():
                page.goto(path)
                take(page, f"{look}-{name}")
            page.goto("/calls")
            number = page.locator("a.name").first.get_attribute("href") or ""
            page.locator(".opens").nth(1).click()
            take(page, f"{look}-call")
            page.goto(number)
            take(page, f"{look}-number")
            context.close()


main()
