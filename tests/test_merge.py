"""Reports of one call become one call, whatever their order, however often and however split they come."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import Identity, expected_calls, identity, random_reports
from ringback.calls.contract import KINDS, PRESENTATIONS, parse_report
from ringback.calls.store import take_in
from ringback.db import Connection, Database, open_database
from ringback.times import now_ms
from service import Customer, Service, call, in_thread, make_customer

NAMES = {number: name for name, number in KINDS.items()}
PRESENTED = {number: name for name, number in PRESENTATIONS.items()}


async def stored_calls(connection: Connection, account_id: int) -> dict[Identity, dict[str, Any]]:
    """The account's calls in the words of the oracle."""
    rows = await connection.fetch(
        "select number, kind, at_ms, precise, duration_s, name, geo_location, presentation, country_iso, sim_id,"
        " type_raw, source, occurrence from calls c join parties p on p.account_id = c.account_id and p.id = c.party_id"
        " where c.account_id = $1",
        account_id,
    )
    calls = {}
    for number, kind, at_ms, precise, duration, name, geo, presentation, country, sim, raw, source, occurrence in rows:
        one = {
            "number": number, "type": NAMES[kind], "date_ms": at_ms, "precise": bool(precise),
            "duration_sec": duration, "cached_name": name, "geo_location": geo,
            "presentation": PRESENTED.get(presentation), "country_iso": country, "sim_id": sim, "type_raw": raw,
            "source": source,
        }  # fmt: skip
        calls[identity(one | {"number": number or None, "occurrence": occurrence})] = one
    assert len(calls) == len(rows)
    return calls


async def store(database: Database, customer: Customer, batch: list[dict[str, Any]]) -> list[str]:
    reports = [parse_report(report, now_ms()) for report in batch]
    results = await database.write(lambda c: take_in(c, customer.id, 1, reports, now_ms()), customer.id)
    return [result.status for result in results]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, fresh: Any) -> str:
    return str(fresh(request.param))


@given(seed=st.integers(0, 2**32), pieces=st.integers(1, 12), repeats=st.integers(1, 3))
@settings(max_examples=20)
def test_any_order_any_split_any_number_of_times(shared_url: str, seed: int, pieces: int, repeats: int) -> None:
    generator = random.Random(seed)
    reports = random_reports(generator, 300)
    sent = reports * repeats
    generator.shuffle(sent)
    customer = make_customer(shared_url)

    async def send() -> tuple[dict[Identity, dict[str, Any]], list[str]]:
        database = await open_database(shared_url)
        try:
            for piece in range(pieces):
                await store(database, customer, sent[piece::pieces])
            once_more = await store(database, customer, reports)
            return await database.read(lambda c: stored_calls(c, customer.id)), once_more
        finally:
            await database.close()

    calls, once_more = in_thread(send())
    assert calls == expected_calls(reports)
    assert set(once_more) == {"duplicate"}


def test_change_numbers_follow_what_others_see(service: Service) -> None:
    customer = service.customer()
    base = call(source="csv", cached_name="Anna")
    assert service.statuses(customer.token, base) == ["created"]
    steps = [
        (base, "duplicate"),
        (base | {"source": "provider"}, "updated"),  # the call's source is its nearest
        (base | {"source": "ios", "cached_name": "Bea"}, "duplicate"),
        (base | {"source": "provider", "cached_name": "Bea"}, "updated"),
        (base | {"source": "provider", "cached_name": None}, "duplicate"),
        (base | {"source": "csv", "geo_location": "Gent"}, "updated"),
        (base | {"source": "provider", "duration_sec": 5, "cached_name": "Bea"}, "updated"),
        (base | {"source": "provider", "duration_sec": 4, "cached_name": "Bea"}, "duplicate"),
        (base | {"source": "provider", "number": "+1 202 555 0100", "cached_name": "Bea"}, "updated"),
        (base | {"source": "termux", "precision": "s", "cached_name": None}, "duplicate"),
        (
            base | {"source": "provider", "type": "unknown", "number": "+1 202 555 0100", "cached_name": None},
            "duplicate",
        ),
        (
            base | {"source": "provider", "type": "rejected", "number": "+1 202 555 0100", "cached_name": None},
            "updated",
        ),
    ]
    for report, status in steps:
        assert service.statuses(customer.token, report) == [status], report


def test_a_nearer_source_that_agrees_is_remembered(service: Service) -> None:
    customer = service.customer()
    for source, name in (("csv", "Anna"), ("provider", "Anna"), ("ios", "Bea")):
        service.send(customer.token, call(cached_name=name, source=source))
    assert service.statuses(customer.token, call(cached_name="Anna", source="provider")) == ["duplicate"]


def test_many_phones_of_one_account_at_once(service: Service) -> None:
    """Batches that share commits: each call once, change numbers without gap or double."""
    from concurrent.futures import ThreadPoolExecutor

    from service import on_database

    customer = service.customer()
    batches = [[call(f"+1202555{n:04}", date_ms=1_761_231_000_000 + 1_000 * i) for i in range(20)] for n in range(30)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda batch: service.send(customer.token, *batch), batches * 2))
    assert sum(answer["created"] for answer in answers) == 600
    assert sum(answer["duplicate"] for answer in answers) == 600
    rows = on_database(
        service.database_url,
        lambda c: c.fetch("select id, change from calls where account_id = $1 order by id", customer.id),
    )
    assert [tuple(row) for row in rows] == [(number, number) for number in range(1, 601)]
