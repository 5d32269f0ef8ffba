"""Every text of the pages stands in every language."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2 as httpx
import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from ringback.web.pages import frame
from ringback.web.pages.language import LANGUAGES, choose
from service import Service, make_member

WEB = Path(frame.__file__).parents[1]
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
OPTIONS = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
OTHERS = [language for language in LANGUAGES if language != "en"]


def texts() -> set[str | tuple[str, ...]]:
    found = extract_from_dir(WEB, METHODS, OPTIONS, KEYWORDS)
    return {message for _, _, message, _, _ in found}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str) -> None:
    with (WEB / "locale" / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    known = {message.id: message for message in catalog if message.id}
    assert set(known) == texts(), "run `make messages` and translate what is new"
    for id, message in known.items():
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        assert all(strings), id
        assert not message.fuzzy, id
        check_placeholders(message, strings)


def check_placeholders(message: Message, strings: tuple[str, ...] | list[str]) -> None:
    source = message.id[-1] if isinstance(message.id, tuple) else message.id
    wanted = set(re.findall(r"%\(\w+\)s|</?\w+", source))
    for string in strings:
        found = set(re.findall(r"%\(\w+\)s|</?\w+", string))
        # One and two of a thing may be said without their figure.
        assert found == wanted or (len(strings) > 1 and wanted - found <= {"%(num)s"} and not found - wanted), string


def test_which_language_is_chosen() -> None:
    assert choose([None, "ar"], "en", None) == "ar"
    assert choose(["xx", None], "ar-EG;q=0.8, en;q=0.5", "en") == "ar"
    assert choose([], "en;q=0.2, ar;q=0.9", None) == "ar"
    assert choose([], "tlh", "ar") == "ar"
    assert choose([], "", None) == "en"
    assert choose([], ";q=;q=x,,," * 200, "xx") == "en"


def test_a_language_for_one_answer_and_by_the_browser(service: Service) -> None:
    with httpx.Client(base_url=service.url, trust_env=False, headers={"Accept": "text/html"}) as client:
        assert '<html lang="ar" dir="rtl"' in client.get("/login?lang=ar").text
        assert '<html lang="en" dir="ltr"' in client.get("/login").text
        assert '<html lang="ar"' in client.get("/login", headers={"Accept-Language": "ar-SA,en;q=0.5"}).text
        assert '<html lang="en"' in client.get("/login?lang=ar'\"><script>").text
    member = make_member(service.database_url, service.customer().id, "viewer")
    origin = {"Origin": service.url}
    with httpx.Client(base_url=service.url, cookies=member.cookies, trust_env=False, headers=origin) as client:
        client.post("/settings/look", data={"language": "ar", "theme": "dark"})
        assert '<html lang="ar" dir="rtl" data-theme="dark"' in client.get("/").text
        assert '<html lang="en" dir="ltr" data-theme="dark"' in client.get("/?lang=en").text
        client.post("/settings/look", data={"language": "", "theme": "purple"})
        assert '<html lang="en" dir="ltr">' in client.get("/").text
