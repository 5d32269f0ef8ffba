"""The languages of the pages: their texts, and dates and numbers as CLDR writes them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES: Final = {"en": "English", "vi": "Tiếng Việt", "fr": "Français", "ar": "العربية"}
"""Each language in its own words."""

COOKIE: Final = "ringback_language"


def N_(text: str) -> str:
    """Mark a text for translation that is looked up elsewhere."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    """The texts of a language; English stands in the code."""
    file = files("ringback.web") / "locale" / f"{language}.po"
    if language == "en" or not file.is_file():
        return NullTranslations()
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)


@cache
def locale(language: str) -> Locale:
    """What CLDR knows of a language."""
    return Locale.parse(language)


def choose(wishes: list[str | None], accepted: str, account: str | None) -> str:
    """The first of the wishes that is a language of ours, else the best that a browser accepts, the account's, English.

    `accepted` is an Accept-Language header.
    """
    for wish in wishes:
        if wish in LANGUAGES:
            return str(wish)
    found = negotiate_locale(_by_weight(accepted), list(LANGUAGES), sep="-")
    return found or (account if account in LANGUAGES else "en")


def _by_weight(accepted: str) -> list[str]:
    """The languages of an Accept-Language header, the most wanted first."""
    weighted = []
    for place, part in enumerate(accepted[:500].split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), place, name.strip()))
        except ValueError:
            continue
    return [name for _, _, name in sorted(weighted) if name]
