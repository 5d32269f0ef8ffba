"""Reports whose local time can mean two instants: `date_other_ms`."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from service import Customer, Service, call, on_database

FIRST = 1_698_539_400_000
"""2023-10-29 02:30 in Berlin, in summer time; an hour later clocks showed the same."""
SECOND = FIRST + 3_600_000


def certain(ms: int, **more: Any) -> Any:
    return call(date_ms=ms, source="provider", **more)


def either(number: int = 0, **more: Any) -> Any:
    return call(date_ms=FIRST, date_other_ms=SECOND, precision="s", source="termux", occurrence=number, **more)


def moments(service: Service, customer: Customer) -> list[tuple[int, bool]]:
    """Each call's moment, and whether it is undecided."""
    sql = "select at_ms, other_second from calls where account_id = $1 order by at_ms, id"
    rows = on_database(service.database_url, lambda c: c.fetch(sql, customer.id))
    return [(at_ms, other is not None) for at_ms, other in rows]


def test_an_undecided_call_is_decided_once(service: Service) -> None:
    for decision in (FIRST + 250, SECOND + 250):
        customer = service.customer()
        assert service.statuses(customer.token, either()) == ["created"]
        assert moments(service, customer) == [(FIRST, True)]
        assert service.statuses(customer.token, either()) == ["duplicate"]
        assert service.statuses(customer.token, certain(decision)) == ["updated"]
        assert moments(service, customer) == [(decision, False)]
        assert service.statuses(customer.token, certain(decision), either(), either()) == ["duplicate"] * 3
        assert moments(service, customer) == [(decision, False)]


def test_an_undecided_report_never_moves_a_call(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, certain(SECOND + 250))
    assert service.statuses(customer.token, either(cached_name="Anna")) == ["updated"]
    assert moments(service, customer) == [(SECOND + 250, False)]


def test_no_other_call_an_hour_away_is_touched(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, certain(FIRST))
    assert service.statuses(customer.token, certain(SECOND)) == ["created"]
    assert service.statuses(customer.token, either(number=0), either(number=1)) == ["duplicate", "duplicate"]
    assert service.statuses(customer.token, either(number=2)) == ["created"]
    assert service.statuses(customer.token, call("+12025550101", date_ms=SECOND)) == ["created"]
    assert moments(service, customer) == [(FIRST, False), (FIRST, True), (SECOND, False), (SECOND, False)]


@pytest.mark.parametrize("decided", [(FIRST,), (SECOND,), (FIRST, FIRST), (FIRST, SECOND), (SECOND, SECOND), ()])
def test_two_rows_in_any_order_are_two_calls(service: Service, decided: tuple[int, ...]) -> None:
    """Two rows of the repeated hour, of which a better source decides none, one or both."""
    numbers = {ms: itertools.count() for ms in decided}
    better = [certain(ms + 250, occurrence=next(numbers[ms])) for ms in decided]
    for order in itertools.permutations([either(0), either(1), *better]):
        customer = service.customer()
        for report in order:
            service.send(customer.token, report)
        assert set(service.statuses(customer.token, *order)) <= {"duplicate", "updated"}
        found = moments(service, customer)
        assert len(found) == 2, order
        assert sorted(at for at, undecided in found if not undecided) == sorted(ms + 250 for ms in decided), order


def test_numbers_as_large_as_they_come(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, certain(FIRST))
    assert service.statuses(customer.token, either(2**31 - 1), either(2**31 - 1), either(0)) == [
        "created", "duplicate", "duplicate",
    ]  # fmt: skip


def test_a_batch_of_undecided_rows_of_one_number(service: Service) -> None:
    customer = service.customer()
    batch = [either(number) for number in range(1_000)]
    assert service.statuses(customer.token, *batch) == ["created"] * 1_000
    assert service.statuses(customer.token, *batch) == ["duplicate"] * 1_000


@pytest.mark.parametrize("other", [FIRST, FIRST - 1, FIRST + 999, FIRST + 86_400_001, "x", 1.5, True])
def test_bad_other_instants(service: Service, other: Any) -> None:
    customer = service.customer()
    [result] = service.send(customer.token, call(date_ms=FIRST, date_other_ms=other))["results"]
    assert result["status"] == "rejected"
    assert result["error"].startswith("date_other_ms must be")
