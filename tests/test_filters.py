"""The dashboard's list against an oracle, the stored counts against the calls, and every figure against its link."""

from __future__ import annotations

import html
import random
import re
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx2 as httpx
import pytest

from ringback.calls.contract import KINDS
from ringback.devices import create_device, create_device_token
from service import Customer, Service, SignedIn, bearer, call, make_member, on_database

ZONE = ZoneInfo("America/St_Johns")
START = 1_761_900_000_000
"""2025-10-31; clocks went back on November 2nd."""

NUMBERS = ("+12025550100", "0044 20 7946 0000", "+442079460000", "Vodafone", "12025550100", None)
NAMES = ("Nguyễn Đức", "Anna", None)


def client(service: Service, member: SignedIn) -> httpx.Client:
    headers = {"Accept": "text/html"}
    return httpx.Client(base_url=service.url, cookies=member.cookies, headers=headers, trust_env=False, timeout=60)


def ids(text: str) -> list[str]:
    return re.findall(r'class="opens" href="/calls/(c[0-9-]+)"', text)


def total(text: str) -> int:
    found = re.search(r'<p class="quiet">\s*([0-9,]+)\+? calls?\s*</p>', text)
    assert found, text
    return int(found[1].replace(",", ""))


class Shop:
    """An account with calls on two phones, and what they are."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.customer: Customer = service.customer(time_zone="America/St_Johns")
        self.member = make_member(service.database_url, self.customer.id, "viewer")
        second = on_database(service.database_url, self._second)
        self.calls: list[dict[str, Any]] = []
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        self.random = random.Random(seed)
        for device, token in ((1, self.customer.token), (2, second)):
            reports = [self.report(n) for n in range(150)]
            answer = service.send(token, *reports)
            assert answer["created"] == 150
            self.calls += [
                {**report, "id": result["id"], "device": f"d{self.customer.id}-{device}"}
                for report, result in zip(reports, answer["results"], strict=True)
            ]

    async def _second(self, connection: Any) -> str:
        device = await create_device(connection, self.customer.id, "second")
        return await create_device_token(connection, self.customer.id, device.number)

    def report(self, n: int) -> dict[str, Any]:
        generator = self.random
        return call(
            generator.choice(NUMBERS), generator.choice(list(KINDS)),
            START + n * 2_000_000 + generator.randrange(1_500_000), duration_sec=generator.randrange(100),
            cached_name=generator.choice(NAMES), sim_id=generator.choice(("1", "2", None)),
        )  # fmt: skip

    def parameters(self) -> dict[str, str]:
        generator = self.random
        some: dict[str, str] = {
            "kind": ",".join(generator.sample(list(KINDS), generator.randrange(1, 4))),
            "device": f"d{self.customer.id}-{generator.randrange(1, 3)}",
            "q": generator.choice(("nguyen duc", "ANNA", "7946", "vodafone", "nobody")),
            "number": generator.choice(("+1 202 555 0100", "02079460000", "2079460000", "VODAFONE", "123")),
            "from": generator.choice(("2025-11-01", "2025-11-02", "2025-10-31T20:00:00Z", "2025-11-02T00:00:00+01:00")),
            "to": generator.choice(("2025-11-02", "2025-11-03", "2025-11-02T12:00:00Z")),
            "min_duration": str(generator.randrange(50)),
            "max_duration": str(generator.randrange(50, 100)),
            "sim": generator.choice(("1", "2")),
            "weekday": str(generator.randrange(1, 8)),
            "hour": str(generator.randrange(24)),
            "open": generator.choice(("0", "1")),
            "sort": generator.choice(("started_at", "-started_at")),
        }
        return {name: some[name] for name in generator.sample(list(some), generator.randrange(4))}

    def expected(self, given: dict[str, str]) -> list[str]:
        found = [one for one in self.calls if all(self.fits(one, name, value) for name, value in given.items())]
        newest = sorted(found, key=lambda one: (one["date_ms"], int(one["id"].split("-")[1])))
        return [one["id"] for one in (newest if given.get("sort") == "started_at" else reversed(newest))]

    def fits(self, one: dict[str, Any], name: str, value: str) -> bool:
        local = datetime.fromtimestamp(one["date_ms"] / 1_000, ZONE)
        match name:
            case "kind":
                return one["type"] in value.split(",")
            case "device":
                return bool(one["device"] == value)
            case "q":
                return self.is_found(one, value)
            case "number":
                return self.is_number(one["number"] or "", value)
            case "from" | "to" if "T" in value:
                moment = datetime.fromisoformat(value).timestamp() * 1_000
                return bool(one["date_ms"] >= moment if name == "from" else one["date_ms"] < moment)
            case "from" | "to":
                day = date.fromisoformat(value)
                return local.date() >= day if name == "from" else local.date() <= day
            case "min_duration":
                return bool(one["duration_sec"] >= int(value))
            case "max_duration":
                return bool(one["duration_sec"] <= int(value))
            case "sim":
                return bool(one["sim_id"] == value)
            case "weekday":
                return local.isoweekday() == int(value)
            case "hour":
                return local.hour == int(value)
            case "open":
                return value == "0" or self.is_open(one)
        return True

    @staticmethod
    def is_found(one: dict[str, Any], value: str) -> bool:
        name, number = one["cached_name"] or "", one["number"] or ""
        words = {"nguyen duc": name == NAMES[0], "ANNA": name == "Anna", "vodafone": number == "Vodafone"}
        return words.get(value, value in number)

    @staticmethod
    def is_number(number: str, value: str) -> bool:
        digits, wanted = ("".join(filter(str.isdecimal, text)) for text in (number, value))
        if not wanted:
            return number.casefold() == value.casefold()
        if digits == wanted:
            return True
        short, sought = digits.lstrip("0"), wanted.lstrip("0")
        return min(len(short), len(sought)) >= 7 and (short.endswith(sought) or sought.endswith(short))

    def is_open(self, one: dict[str, Any]) -> bool:
        def key(of: dict[str, Any]) -> str:
            number = of["number"] or ""
            digits = "".join(filter(str.isdecimal, number))
            return ("+" if number.startswith("+") else "") + digits if digits else number

        return bool(one["number"]) and one["type"] == "missed" and not any(
            other["type"] in ("incoming", "outgoing") and key(other) == key(one) and other["date_ms"] > one["date_ms"]
            for other in self.calls
        )  # fmt: skip


@pytest.fixture(scope="module")
def shop(service: Service) -> Shop:
    return Shop(service)


def test_filters_against_an_oracle(shop: Shop) -> None:
    with client(shop.service, shop.member) as browser:
        for _ in range(150):
            given = shop.parameters()
            expected = shop.expected(given)
            place = shop.random.randrange(1, 4) if len(expected) > 50 else 1
            answer = browser.get("/calls?" + urlencode({**given, "page": place}))
            assert answer.status_code == 200, given
            assert ids(answer.text) == expected[(place - 1) * 50 : place * 50], given
            if expected:
                assert total(answer.text) == len(expected), given


@pytest.mark.parametrize(
    "query",
    ["kind=x", "from=2025-02-30", "to=2025-11-01T00:00:00", "weekday=x", "open=2", "sort=x", "device=d1-1x", "page=x",
     "q=%ff", "q=" + "x" * 101, "from=9999999999999999999"],
)  # fmt: skip
def test_filters_that_cannot_be_read(shop: Shop, query: str) -> None:
    with client(shop.service, shop.member) as browser:
        answer = browser.get(f"/calls?{query}")
        assert answer.status_code == 400
        assert f"The filter {query.split('=')[0]} can&#39;t be read" in answer.text.replace("can't", "can&#39;t")
        assert total(answer.text) == 300


def test_strangers_find_nothing(shop: Shop) -> None:
    stranger = make_member(shop.service.database_url, shop.service.customer().id)
    numbered = next(one for one in shop.calls if one["number"])
    with client(shop.service, shop.member) as mine, client(shop.service, stranger) as theirs:
        text = mine.get(f"/calls/{numbered['id']}").text
        [number] = set(re.findall(r"/numbers/[n0-9-]+", text))
        assert mine.get(number).status_code == 200
        for path in (f"/calls/{numbered['id']}", number, "/calls/c1-x", "/numbers/n0-0", "/calls/" + "9" * 100):
            assert theirs.get(path).status_code == 404, path
        assert theirs.get(f"/calls?device={numbered['device']}").status_code == 400


def test_a_number_on_every_phone(shop: Shop) -> None:
    mine = [one for one in shop.calls if one["number"] == "+12025550100"]
    with client(shop.service, shop.member) as browser:
        text = browser.get(f"/calls/{mine[0]['id']}").text
        [path] = set(re.findall(r"/numbers/[n0-9-]+", text))
        page = browser.get(path).text
        assert total(page) == len(mine)
        assert {one["device"] for one in mine} == {f"d{shop.customer.id}-1", f"d{shop.customer.id}-2"}
        for kind in ("missed", "incoming", "outgoing"):
            count = sum(one["type"] == kind for one in mine)
            assert re.search(rf'href="{path}\?kind={kind}"><strong>{count}</strong>', page)
            assert len(ids(browser.get(f"{path}?kind={kind}").text)) == count
        assert all(name in page for name in ("Anna", "Nguyễn Đức"))


def test_counts_of_quarters_follow_every_change(service: Service) -> None:
    customer = service.customer()
    generator = random.Random(7)
    reports = [
        call("+1", generator.choice(list(KINDS)), START + n * 900_000, precision="s", source="csv") for n in range(200)
    ]
    service.send(customer.token, *reports)
    better = [
        {**report, "date_ms": report["date_ms"] + 999, "precision": "ms", "source": "provider",
         "type": "missed" if report["type"] in ("incoming", "rejected", "unknown") else report["type"]}
        for report in reports
    ]  # fmt: skip
    assert service.send(customer.token, *better)["updated"] == 200

    async def compare(connection: Any) -> None:
        counted = await connection.fetch(
            "select kind, at_ms / 900000, count(*) from calls where account_id = $1 group by 1, 2 order by 1, 2",
            customer.id,
        )
        kept = await connection.fetch(
            "select kind, quarter, n from quarters where account_id = $1 and n <> 0 order by 1, 2", customer.id
        )
        assert [tuple(row) for row in counted] == [tuple(row) for row in kept]

    on_database(service.database_url, compare)


def test_every_figure_of_the_overview_is_a_link_to_exactly_its_calls(service: Service) -> None:
    customer = service.customer(time_zone="Asia/Kathmandu")
    member = make_member(service.database_url, customer.id, "viewer")
    now = datetime.now(ZoneInfo("Asia/Kathmandu")).replace(microsecond=0)
    generator = random.Random(11)
    moments = [now - timedelta(minutes=generator.randrange(1, 120 * 24 * 60)) for _ in range(800)]
    service.send(
        customer.token,
        *(
            call(
                generator.choice([f"+97798000000{n}" for n in range(9)]),
                generator.choice(("missed", "incoming", "outgoing", "rejected")),
                int(moment.timestamp() * 1_000) + n % 1_000,
            )
            for n, moment in enumerate(moments)
        ),
    )
    with client(service, member) as browser:
        text = browser.get("/").text
        figures: dict[str, int] = {}
        for path, count in (
            *re.findall(r'<a href="([^"]+)" tabindex="-?\d" aria-label="[^"]+: ([0-9,]+) calls?"', text),
            *re.findall(
                r'<a class="figure" href="([^"]+kind=(?:missed|incoming|outgoing)&[^"]+)">\s*<strong>(\d+)', text
            ),
            *re.findall(r'<td class="end"><a href="([^"]+)">(\d+)</a>', text),
            *re.findall(r'<a href="([^"]+)">(\d+) missed calls? not called back', text),
            *re.findall(r'<a href="(/numbers[^"]+)" aria-label="[^"]+">(\d+)</a>', text),
        ):
            figures[html.unescape(path)] = int(count.replace(",", ""))
        assert len(figures) > 7 * 24 + 60
        for path in generator.sample(sorted(figures), 60) + [
            one for one in figures if "open=1" in one or "/numbers" in one
        ]:
            answer = browser.get(path)
            assert answer.status_code == 200
            shown = total(answer.text) if ids(answer.text) else 0
            assert shown == figures[path], path


def test_an_ended_plan_shows_a_notice_in_place_of_calls(service: Service) -> None:
    customer = service.customer(until="2020-01-01")
    service.send(customer.token, call(name := "+12025550199"))
    member = make_member(service.database_url, customer.id)
    with client(service, member) as browser:
        for path in ("/", "/calls", f"/calls/c{customer.id}-1", f"/numbers/n{customer.id}-1"):
            text = browser.get(path).text
            assert "The plan has ended" in text
            assert name not in text
        assert "Language" in browser.get("/settings").text
    assert service.http.get("/v1/devices", headers=bearer(customer.key)).status_code == 200


def test_nothing_yet(service: Service) -> None:
    member = make_member(service.database_url, service.customer().id)
    with client(service, member) as browser:
        for path in ("/", "/calls"):
            text = browser.get(path).text
            assert 'href="/phones">Pair a phone' in text
            assert 'href="/imports">Imports' in text
