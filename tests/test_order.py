"""Every order is total, and every page is what a plain list in Python gives."""

from __future__ import annotations

import os
import random
import unicodedata
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ringback.calls.query import ORDERS
from ringback.db import open_database
from service import Customer, Service, bearer, call, in_thread, make_customer

ZONE = "America/St_Johns"
CENTRE_MS = 1_289_097_060_000
"""2010-11-07 02:31 UTC, when St. John's put its clocks from 00:01 back to 23:01 of the day before."""

NAMES = [
    "",
    None,
    "Anna",
    "anna",
    "Ánna B",
    "Nguyễn Văn Đức",
    "张伟",
    "محمد",
    "Øre",
    "Ürsel 47",
    "a%b_c\\d",
    "😀",
    "-",
    "éa",
    "z",
]
PLACES = [None, None, "Gent", "gent", "Hà Nội", "Köln"]
NUMBERS = ["+3247000000{}", "0032 470 {}", "sip:Anna{}@x", "*31#{}", "٠٩٣{}", "(0470) 12-{}"]


def make_calls(generator: random.Random, count: int) -> list[dict[str, Any]]:
    calls = []
    for place in range(count):
        number = generator.choice(NUMBERS).format(generator.randrange(40)) if generator.random() > 0.1 else None
        calls.append(
            call(
                number,
                generator.choice(["missed", "missed", "incoming", "outgoing", "rejected", "blocked", "voicemail"]),
                CENTRE_MS
                + generator.choice([0, generator.randrange(-3, 3) * 3_600_000, generator.randrange(-(10**8), 10**8)]),
                duration_sec=generator.choice([0, 0, 60, generator.randrange(100)]),
                cached_name=generator.choice(NAMES),
                geo_location=generator.choice(PLACES),
                occurrence=place,
            )
        )
    return calls


def fold(text: str) -> str:
    kept = [c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c)]
    folded = "".join(c for c in kept if unicodedata.category(c) != "Cf")
    for letter, plain in (("đ", "d"), ("ø", "o"), ("ł", "l"), ("ı", "i"), ("ß", "ss"), ("æ", "ae"), ("œ", "oe")):
        folded = folded.replace(letter, plain)
    return folded


def digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) for c in text if unicodedata.category(c) == "Nd")


def matches(one: dict[str, Any], query: str) -> bool:
    number, name = one["number"] or "", one["cached_name"] or ""
    if fold(query) in fold(number) or fold(query) in fold(name):
        return True
    allowed = all(c in "+-() ./" or unicodedata.category(c) in ("Nd", "Zs", "Pd") for c in query)
    return allowed and bool(digits(query)) and digits(query) in digits(number)


def ordered(calls: list[dict[str, Any]], sort_by: str, descending: bool) -> list[dict[str, Any]]:
    """The calls, which stand in the order of their arrival, in another order."""
    places = {id(one): place for place, one in enumerate(calls)}
    newest = sorted(calls, key=lambda one: (one["date_ms"], places[id(one)]), reverse=True)
    if sort_by in ("call_date_ms", "call_datetime_utc"):
        return newest if descending else newest[::-1]
    if sort_by == "created_at":
        return calls[::-1] if descending else calls

    def key(one: dict[str, Any]) -> Any:
        if sort_by == "duration_sec":
            return one["duration_sec"]
        if sort_by == "phone_number":
            return fold(one["number"] or "")
        text = one["cached_name" if sort_by == "cached_name" else "geo_location"]
        return (bool(text), fold(text or ""))

    return sorted(newest, key=key, reverse=descending)  # stable, so equal ones stay newest first


def local_day(one: dict[str, Any]) -> str:
    return datetime.fromtimestamp(one["date_ms"] // 1_000, ZoneInfo(ZONE)).strftime("%Y-%m-%d")


class Filled:
    """An account of known calls."""

    def __init__(self, service: Service, seed: int) -> None:
        self.service = service
        self.customer: Customer = make_customer(service.database_url, time_zone=ZONE)
        self.calls = make_calls(random.Random(seed), 2_000)
        answer = service.send(self.customer.token, *self.calls)
        assert answer["created"] == 2_000
        in_thread(self.analyze())

    async def analyze(self) -> None:
        """What PostgreSQL does by itself within a minute."""
        database = await open_database(self.service.database_url)
        await database.analyze()
        await database.close()

    def of(self, *types: str) -> list[dict[str, Any]]:
        return [one for one in self.calls if one["type"] in types]

    def get(self, kind: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.service.http.get(f"/call/{kind}/list/", params=parameters, headers=bearer(self.customer.key))
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data" if kind == "missed" else "rows"])


SEED = int(os.environ.get("SEED") or random.randrange(2**32))


@pytest.fixture(scope="session")
def filled(service: Service) -> Filled:
    print(f"seed {SEED}")
    return Filled(service, SEED)


def shown(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["number"] or "", one["cached_name"] or None, one["date_ms"], one["duration_sec"], one["geo_location"]


def answered(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("phone_number", "cached_name", "call_date_ms", "duration_sec", "geo_location"))


def missed_shown(one: dict[str, Any]) -> tuple[Any, ...]:
    moment = datetime.fromtimestamp(one["date_ms"] // 1_000, ZoneInfo(ZONE))
    return one["number"] or "", one["cached_name"] or "", moment.strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize("sort_by", list(ORDERS))
@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("kind", ["incoming", "outgoing"])
def test_paging_gives_each_call_once(filled: Filled, kind: str, sort_by: str, sort_dir: str) -> None:
    expected = ordered(filled.of(kind), sort_by, sort_dir == "desc")
    found = []
    for offset in range(0, len(expected) + 37, 37):
        found += filled.get(kind, {"sort_by": sort_by, "sort_dir": sort_dir, "limit": 37, "offset": offset})
    assert [answered(row) for row in found] == [shown(one) for one in expected]


def test_500_random_requests_equal_the_oracle(filled: Filled) -> None:
    generator = random.Random(SEED)
    queries = [name for name in NAMES if name] + ["47", "+3247", "0 93", "93-", "ann", "@", "gent", "%", "_", "١", "q9"]
    for _ in range(500):
        limit, offset = generator.randrange(1, 60), generator.choice([0, 0, generator.randrange(400)])
        query = generator.choice([None, None, *queries])
        page = slice(offset, offset + limit)
        parameters: dict[str, Any] = {"limit": limit, "offset": offset}
        if generator.random() < 0.5:
            kind = generator.choice(["incoming", "outgoing"])
            sort_by, sort_dir = generator.choice(list(ORDERS)), generator.choice(["asc", "desc"])
            first, last = (CENTRE_MS + generator.randrange(-(10**8), 10**8) for _ in range(2))
            parameters |= {"sort_by": sort_by, "sort_dir": sort_dir}
            expected = filled.of(kind)
            if generator.random() < 0.4:
                parameters |= {"date_from_ms": first, "date_to_ms": last}
                expected = [one for one in expected if first <= one["date_ms"] <= last]
            if query:
                parameters["q"] = query
                expected = [one for one in expected if matches(one, query)]
            expected = ordered(expected, sort_by, sort_dir == "desc")[page]
            assert [answered(row) for row in filled.get(kind, parameters)] == [shown(one) for one in expected], (
                parameters
            )
        else:
            include = generator.choice([[], ["rejected"], ["blocked"], ["rejected", "blocked"]])
            expected = filled.of("missed", *include)
            parameters["include"] = ",".join(include)
            if generator.random() < 0.6:
                day = f"2010-11-{generator.randrange(4, 10):02}"
                parameters["date_start"] = day
                expected = [one for one in expected if local_day(one) >= day]
            if generator.random() < 0.6:
                day = f"2010-11-{generator.randrange(4, 10):02}"
                parameters["date_end"] = day
                expected = [one for one in expected if local_day(one) <= day]
            if query:
                parameters["search"] = query
                expected = [one for one in expected if matches(one, query)]
            expected = ordered(expected, "call_date_ms", descending=True)[page]
            found = [tuple(row.values()) for row in filled.get("missed", parameters)]
            assert found == [missed_shown(one) for one in expected], parameters


def test_the_days_of_st_johns_really_interleave() -> None:
    """The oracle's trap holds: within one hour the local date goes on to the 7th, back to the 6th and on again."""
    days = [
        datetime.fromtimestamp(CENTRE_MS // 1_000 + offset, UTC).astimezone(ZoneInfo(ZONE)).day
        for offset in (-61, -30, 0, 59 * 60)
    ]
    assert days == [6, 7, 6, 7]
