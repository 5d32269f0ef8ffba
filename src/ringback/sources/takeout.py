"""Google Voice from Google Takeout: a web page for each call, whose tag says what it was.

Source: pages in public repositories (Google documents none): `div.haudio` with `a.tel`, `span.fn`, `abbr.published`,
`abbr.duration` and links `rel=tag`; conversations by text have `div.hChatLog`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote

from ringback.calls.contract import MOST_INT
from ringback.sources.reading import (
    LONGEST_ROW,
    FileDamaged,
    FileRefused,
    Options,
    SourceFile,
    SourceRow,
    pieces,
    read_head,
)
from ringback.text import number_key, trim

NAME: Final = "takeout"

TYPES: Final = {
    "missed": "missed", "placed": "outgoing", "received": "incoming", "voicemail": "voicemail", "recorded": "incoming",
}  # fmt: skip
"""What the tags of calls mean."""

_CALL: Final = re.compile("class=[\"'][^\"']*haudio")
_TEXTS: Final = re.compile("class=[\"'][^\"']*hChatLog")
_DURATION: Final = re.compile(r"P(?:(\d{1,5})D)?T?(?:(\d{1,7})H)?(?:(\d{1,9})M)?(?:(\d{1,10})(?:\.\d*)?S)?", re.ASCII)


def recognises(head: str) -> bool:
    """Whether a page that begins so is of this kind."""
    return bool(_CALL.search(head) or _TEXTS.search(head))


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The call of a page; none where it holds texts. Raises FileRefused, FileDamaged."""
    del options
    with file.open() as opened:
        yield from _read_page(file.name, pieces(opened), 1)


def read_pages(pages: list[SourceFile]) -> Iterator[SourceRow]:
    """The calls of many pages, in the order of their names; other pages are passed over."""
    for place, page in enumerate(sorted(pages, key=lambda page: page.name), 1):
        raw = {"page": page.name}
        try:
            with page.open() as opened:
                if not recognises(read_head(opened)):
                    continue
            with page.open() as opened:
                yield from _read_page(page.name, pieces(opened), place)
        except (FileRefused, FileDamaged) as error:
            yield SourceRow(place, raw, raw, error=f"This page can't be read: {error.detail.split(';')[0]}.")


def _read_page(name: str, text: Iterator[str], place: int) -> Iterator[SourceRow]:
    page = _Page()
    length = 0
    for piece in chain(text, [None]):
        if piece is None:
            page.close()
        else:
            page.feed(piece)
            length += len(piece)
        if page.holds_texts:
            return
        if length > LONGEST_ROW:
            raise FileDamaged("it is too long for a call")
    raw = {"page": name, **page.said}
    kind = next((TYPES[tag] for tag in page.tags if tag in TYPES), None)
    if kind is None and {"sms", "text"} & set(page.tags):
        return
    if kind is None:
        yield SourceRow(place, raw, raw, error="This page has no tag that says whether the call was missed or placed.")
        return
    number, fn = page.said.get("number", ""), page.said.get("name", "")
    yield SourceRow(
        place,
        raw,
        {
            "number": number or None,
            "type": kind,
            "date_ms": _moment(page.said.get("published", "")),
            "duration_sec": _seconds(page.said.get("duration")),
            "cached_name": None if number_key(fn) == number_key(number) else fn,
            "source": NAME,
        },
    )


class _Page(HTMLParser):
    """What a page says of its call."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self.tags: list[str] = []
        self.holds_texts = False
        self._inside_number = 0
        self._inside_name = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        classes = attributes.get("class", "").split()
        if "hChatLog" in classes:
            self.holds_texts = True
        elif tag == "a" and "tel" in classes and "number" not in self.said:
            self.said["number"] = trim(unquote(attributes.get("href", "")).removeprefix("tel:"))
            self._inside_number = 1
        elif tag == "a" and attributes.get("rel") == "tag":
            self.tags.append(attributes.get("href", "").rpartition("#")[2].lower())
        elif tag == "span" and "fn" in classes and self._inside_number:
            self._inside_name = True
            self.said.setdefault("name", "")
        elif tag == "abbr":
            for name in {"published", "duration"} & set(classes):
                self.said.setdefault(name, attributes.get("title", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._inside_name = False
        elif tag == "a":
            self._inside_number = 0

    def handle_data(self, data: str) -> None:
        if self._inside_name:
            self.said["name"] = trim(self.said["name"] + data)


def _moment(text: str) -> Any:
    """The ms of an ISO 8601 time with an offset, else the text."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            return text
        return (at - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return text


def _seconds(text: str | None) -> Any:
    """The seconds of an ISO 8601 duration, 0 where there is none, else the text."""
    if text is None:
        return 0
    match = _DURATION.fullmatch(text)
    if not match or not any(match.groups()):
        return text
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return min(((days * 24 + hours) * 60 + minutes) * 60 + seconds, MOST_INT + 1)
