"""How text is folded, and which spellings are one number."""

from __future__ import annotations

import pytest

from ringback.text import clean_number, digits, fold, number_key, number_query_digits, trim


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Nguyễn", "nguyen"),
        ("Đúng", "dung"),
        ("JOSÉ", "jose"),
        ("Øre Łódź", "ore lodz"),
        ("Straße", "strasse"),
        ("Ærø Œuvre", "aero oeuvre"),
        ("İSMAİL IŞIK", "ismail isik"),
        ("ılgaz", "ilgaz"),
        ("ＡＢ１", "ab1"),
        ("a\u00adb\u200dc\u202a", "abc"),
        ("\u0301", ""),
        ("日本語", "日本語"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_fold_keeps_spacing_vowel_signs() -> None:
    # The virama has a combining class, the vowel sign i has none and is a letter to whoever reads it.
    assert fold("हिन्दी") == "हिनदी"


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("+1 202 555-0117", "+12025550117"),
        ("(+1) 202.555.0117", "+12025550117"),
        ("0012025550117", "0012025550117"),
        ("202 + 5", "2025"),
        ("\u202a+1 202 555 0117\u202c", "+12025550117"),
        ("٠٩١٢", "0912"),
        ("*31#0301234", "*31#0301234"),
        ("1-800-FLOWERS", "1-800-flowers"),
        ("sip:Anna@Example.com", "sip:anna@example.com"),
        (" Voicemail ", "voicemail"),
        ("+", "+"),
        ("", ""),
    ],
)
def test_number_key(number: str, key: str) -> None:
    assert number_key(number) == key


@pytest.mark.parametrize("number", [None, "", "  ", "\u00a0", "\u202a\u202c", "\u0301", "-1", "-2", " -3 ", "null"])
def test_hidden_callers(number: str | None) -> None:
    assert clean_number(number, None) == ""
    assert clean_number(number, "allowed") == ""


@pytest.mark.parametrize("presentation", ["restricted", "unknown", "payphone", "unavailable"])
def test_a_presentation_hides_whatever_number_came(presentation: str) -> None:
    assert clean_number("+12025550100", presentation) == ""
    assert clean_number(" +12025550100\u00a0", "allowed") == "+12025550100"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("32 47", "3247"),
        ("+32 (0)4-7/1.", "320471"),
        ("٣٢–47", "3247"),
        ("3247a", ""),
        ("+", ""),
        ("32*", ""),
    ],
)
def test_number_query_digits(query: str, found: str) -> None:
    assert number_query_digits(query) == found


def test_trim_takes_unicodes_white_space_alone() -> None:
    assert trim("\u3000\u2028 a\u0085\t") == "a"
    assert trim("\x1ca\x1f") == "\x1ca\x1f"
    assert digits("²½٤4") == "44"
