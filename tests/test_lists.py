"""The three lists to the letter of the contract: parameters, answers, search, order, errors."""

from __future__ import annotations

import json
import re
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2 as httpx
import pytest

from ringback.keys import create_key, list_keys, revoke_key
from service import Customer, Service, bearer, call, on_database

DAY = "%Y-%m-%d"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def get(service: Service, kind: str, query: str, **headers: str) -> httpx.Response:
    """A list, with the query string exactly as it is given."""
    return service.http.get(f"/call/{kind}/list/?{query}", headers=headers)


def rows(service: Service, kind: str, customer: Customer, query: str = "") -> list[dict[str, Any]]:
    answer = get(service, kind, query, **bearer(customer.key))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data" if kind == "missed" else "rows"])


def names(service: Service, customer: Customer, query: str, kind: str = "outgoing") -> list[str]:
    return [row["name" if kind == "missed" else "cached_name"] for row in rows(service, kind, customer, query)]


def refused(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert list(body) == ["success", "error", "detail"]
    assert body["success"] is False
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["error"]


def test_the_contracts_missed_example(service: Service) -> None:
    customer = service.customer()
    service.send(
        customer.token,
        call("+123471111111", "missed", ms("2026-02-24 11:12:09.500")),
        call("+123470000000", "missed", ms("2026-02-24 12:49:39"), cached_name="John Doe"),
    )
    answer = get(service, "missed", f"apikey={customer.key}")
    assert answer.text == (
        '{"success":true,"offset":0,"limit":100,"count":2,'
        '"data":[{"number":"+123470000000","name":"John Doe","date":"2026-02-24 12:49:39"},'
        '{"number":"+123471111111","name":"","date":"2026-02-24 11:12:09"}]}'
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "x-synced-through" not in answer.headers
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("kind", ["incoming", "outgoing"])
def test_the_contracts_incoming_example(service: Service, kind: str) -> None:
    customer = service.customer()
    service.send(
        customer.token,
        call("+123490000000", kind, 1_761_231_000_000, duration_sec=120, geo_location="Belgique", cached_name=""),
        call("+123490000000", kind, 1_760_999_999_999),
        call("+123490000000", kind, 1_761_864_000_001),
    )
    before = datetime.now(UTC)
    query = "limit=50&sort_by=duration_sec&sort_dir=DESC&date_from_ms=1761000000000&date_to_ms=1761864000000"
    answer = get(service, kind, f"apikey={customer.key}&{query}")
    body = answer.json()
    created_at = body["rows"][0].pop("created_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created_at)
    created = datetime.strptime(created_at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(before - created) < timedelta(minutes=1)
    assert json.dumps(body) == json.dumps(
        {
            "success": True, "apikey": customer.key, "limit": 50, "offset": 0, "sort_by": "duration_sec",
            "sort_dir": "desc",
            "filters": {"date_from_ms": "1761000000000", "date_to_ms": "1761864000000", "q": None},
            "count": 1,
            "rows": [
                {
                    "phone_number": "+123490000000", "cached_name": None, "call_date_ms": 1761231000000,
                    "call_datetime_utc": "2025-10-23 14:50:00", "duration_sec": 120, "geo_location": "Belgique",
                }
            ],
        }
    )  # fmt: skip


def test_which_call_is_in_which_list(service: Service) -> None:
    customer = service.customer()
    types = ["missed", "incoming", "outgoing", "voicemail", "rejected", "blocked", "answered_elsewhere", "unknown"]
    service.send(customer.token, *(call(f"+120255501{i:02}", type, cached_name=type) for i, type in enumerate(types)))
    assert names(service, customer, "", "incoming") == ["incoming"]
    assert names(service, customer, "", "outgoing") == ["outgoing"]
    assert names(service, customer, "", "missed") == ["missed"]
    for include, also in {
        "rejected": {"rejected"},
        "blocked,": {"blocked"},
        "%20rejected%20,,%20blocked": {"rejected", "blocked"},
        ",": set(),
    }.items():
        assert set(names(service, customer, f"include={include}", "missed")) == {"missed"} | also
    for include in ("voicemail", "Rejected", "rejected;blocked", "all"):
        assert refused(get(service, "missed", f"include={include}", **bearer(customer.key))) == (
            400, "invalid_parameter",
        )  # fmt: skip


def test_unicode_comes_unescaped_and_hidden_numbers_are_empty(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call("+1", cached_name="Nguyễn 😀"), call("+49301234", presentation="restricted"))
    answer = get(service, "missed", f"apikey={customer.key}")
    assert "Nguyễn 😀" in answer.content.decode()
    assert {row["number"] for row in answer.json()["data"]} == {"+1", ""}


def test_keys_in_the_query_and_in_headers(service: Service) -> None:
    customer, other = service.customer(), service.customer()
    service.send(customer.token, call(type="incoming"))
    key = customer.key

    def echoed(query: str, **headers: str) -> Any:
        answer = get(service, "incoming", query, **headers)
        assert (answer.status_code, answer.json()["count"]) == (200, 1)
        return answer.json()["apikey"]

    assert echoed(f"apikey={key}") == key
    assert echoed(f"apikey=%20{key}+") == key
    assert echoed(f"apikey=wrong&apikey={key}") == key
    assert echoed(f"apikey={key}", **bearer(other.key)) == key
    assert echoed("", **bearer(key)) is None
    assert echoed("apikey=", Authorization=f"bEARER {key}") is None
    assert echoed("apikey=+", **{"X-API-Key": key}) is None
    assert echoed("", Authorization="Basic eDp5", **{"X-API-Key": key}) is None


def test_keys_that_are_refused(service: Service) -> None:
    customer = service.customer()
    for query, headers in (("", {}), ("apikey=", {}), ("apikey=%20", {}), ("apikey", {"Authorization": "Bearer"})):
        assert refused(get(service, "missed", query, **headers)) == (400, "missing_apikey")
    wrong = ["x", customer.key + "a", customer.key.upper(), customer.token, "%FF", f"{customer.key}&apikey=x", "%00"]
    for key in [*wrong, "rbk_1_" + "a" * 32, "rbk_" + "9" * 30 + "_" + "a" * 32, "x" * 5_000, "%D9%A1"]:
        assert refused(get(service, "missed", f"apikey={key}")) == (403, "invalid_apikey"), key
        assert refused(get(service, "missed", f"apikey={key}&limit=abc")) == (403, "invalid_apikey")
    [key_id] = [key.id for key in on_database(service.database_url, lambda c: list_keys(c, customer.id))]
    second = on_database(service.database_url, lambda c: create_key(c, customer.id, "second"))
    on_database(service.database_url, lambda c: revoke_key(c, key_id))
    assert refused(get(service, "missed", f"apikey={customer.key}")) == (403, "invalid_apikey")
    assert get(service, "missed", f"apikey={second}").status_code == 200


def test_the_last_valid_day_is_the_limit_itself(service: Service) -> None:
    today = datetime.now(UTC)
    valid = service.customer(until=(today + timedelta(days=1)).strftime(DAY))
    last_day = service.customer(until=today.strftime(DAY))
    over = service.customer(until=(today - timedelta(days=1)).strftime(DAY))
    assert get(service, "missed", f"apikey={valid.key}").status_code == 200
    answer = get(service, "missed", f"apikey={last_day.key}")
    assert answer.status_code == 200 or datetime.now(UTC).date() != today.date()
    for kind in ("missed", "incoming", "outgoing"):
        assert refused(get(service, kind, f"apikey={over.key}&limit=abc")) == (403, "api_expired")
    assert service.http.get("/gateway/mobile/list/", headers=bearer(over.key)).status_code == 200


def test_accounts_see_their_own_calls_alone(service: Service) -> None:
    customer, stranger = service.customer(), service.customer()
    service.send(customer.token, call())
    assert len(rows(service, "missed", customer)) == 1
    assert rows(service, "missed", stranger) == []


@pytest.mark.parametrize("kind", ["missed", "incoming", "outgoing"])
def test_head_slashes_and_methods(service: Service, kind: str) -> None:
    """Case 31."""
    customer = service.customer()
    service.send(customer.token, call(type=kind))
    for slash in ("", "/"):
        path = f"/call/{kind}/list{slash}"
        assert service.http.get(path, params={"apikey": customer.key}).json()["count"] == 1
        for query, status in (
            (f"apikey={customer.key}", 200),
            ("", 400),
            ("apikey=wrong", 403),
            (f"apikey={customer.key}&limit=abc", 400),
        ):
            head, rest = raw_head(service, f"{path}?{query}")
            assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
            assert rest == b""
        answer = service.http.post(path, params={"apikey": customer.key})
        assert refused(answer) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD"


def raw_head(service: Service, target: str) -> tuple[bytes, bytes]:
    """The head of an answer to HEAD, and every byte after it."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(f"HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def test_case_5_equal_moments(service: Service) -> None:
    customer = service.customer()
    calls = [call(f"+12025550{i:03}", "incoming", cached_name=str(i)) for i in range(40)]
    service.send(customer.token, *calls[:25])
    service.send(customer.token, *calls[25:])
    arrival = [str(i) for i in range(40)]

    def paged(query: str) -> list[str]:
        pages = (names(service, customer, f"limit=7&offset={offset}&{query}", "incoming") for offset in range(0, 42, 7))
        return [name for page in pages for name in page]

    assert paged("") == arrival[::-1]
    assert paged("sort_dir=asc") == arrival
    assert paged("sort_by=duration_sec") == paged("sort_by=duration_sec&sort_dir=asc") == arrival[::-1]


def test_case_7_a_day_of_25_hours(service: Service) -> None:
    customer = service.customer(time_zone="America/Santiago")
    moments = ["02:30:00", "03:30:00", "03:59:59.999", "04:00:00"]
    service.send(customer.token, *(call(date_ms=ms(f"2025-04-06 {moment}")) for moment in moments))
    day = rows(service, "missed", customer, "date_start=2025-04-05&date_end=2025-04-05")
    assert [row["date"] for row in day] == ["2025-04-05 23:59:59", "2025-04-05 23:30:00", "2025-04-05 23:30:00"]
    assert len(rows(service, "missed", customer, "date_start=2025-04-06")) == 1


def test_case_9_days_of_kolkata(service: Service) -> None:
    customer = service.customer(time_zone="Asia/Kolkata")
    moments = [f"2025-10-{day} 18:{moment}" for day in (22, 23) for moment in ("29:59.999", "30:00.000")]
    service.send(customer.token, *(call(date_ms=ms(moment)) for moment in moments))
    day = rows(service, "missed", customer, "date_start=2025-10-23&date_end=2025-10-23")
    assert [row["date"] for row in day] == ["2025-10-23 23:59:59", "2025-10-23 00:00:00"]


def test_a_day_that_no_clock_showed(service: Service) -> None:
    customer = service.customer(time_zone="Pacific/Apia")  # it went from 29 to 31 December 2011
    service.send(customer.token, call(date_ms=ms("2011-12-30 09:59:59.999")), call(date_ms=ms("2011-12-30 10:00")))
    days = [
        rows(service, "missed", customer, f"date_start=2011-12-{day}&date_end=2011-12-{day}") for day in (29, 30, 31)
    ]
    assert [[row["date"] for row in day] for day in days] == [["2011-12-29 23:59:59"], [], ["2011-12-31 00:00:00"]]


@pytest.mark.parametrize("name", ["date_start", "date_end"])
def test_case_11_dates(service: Service, name: str) -> None:
    customer = service.customer()
    for text in (
        "20240229", "2024-W09-4", "2024-060", "2024-2-29", "2024-02-29T00:00:00", "2024-02-29Z", "2025-02-29",
        "2026-02-30", "٢٠٢٤-٠٢-٢٩", "２０２４-０２-２９", "0000-01-01", "%FF", "-2024-02-29",
    ):  # fmt: skip
        answer = get(service, "missed", f"{name}={text}", **bearer(customer.key))
        assert refused(answer) == (400, "invalid_parameter"), text
        assert name in answer.json()["detail"]
    for text in ("+2024-02-29+", "", "%C2%A02024-02-29", "0001-01-01", "9999-12-31"):
        assert get(service, "missed", f"{name}={text}", **bearer(customer.key)).status_code == 200, text


def test_reversed_ranges_are_empty(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call(), call("+12025550101", "incoming"))
    assert rows(service, "missed", customer, "date_start=2025-10-24&date_end=2025-10-23") == []
    assert len(rows(service, "missed", customer, "date_start=0001-01-01&date_end=9999-12-31")) == 1
    assert rows(service, "missed", customer, "date_start=9999-12-31") == []
    assert rows(service, "missed", customer, "date_end=0001-01-01") == []
    assert rows(service, "incoming", customer, "date_from_ms=1761231000001&date_to_ms=1761231000000") == []


@pytest.mark.parametrize("name", ["limit", "offset", "date_from_ms"])
def test_case_13_integers(service: Service, name: str) -> None:
    customer = service.customer()
    service.send(customer.token, *(call(type="incoming", occurrence=i) for i in range(9)))
    for text in ("1_000", "٥", "５", "²", "5.0", "0x10", "1e3", "--5", "5+0", "true", "abc", "%FF", "%2B", "5%00"):
        answer = get(service, "incoming", f"{name}={text}", **bearer(customer.key))
        assert refused(answer) == (400, "invalid_parameter"), text
        assert name in answer.json()["detail"]
    for text, value in (("%2B5", 5), ("+5", 5), ("007", 7), ("+", None), ("", None)):
        body = get(service, "incoming", f"{name}={text}", **bearer(customer.key)).json()
        if name == "date_from_ms":
            assert body["filters"][name] == (
                None
                if value is None
                else text.replace("%2B", "+").strip("+")
                if text[0] == "+"
                else text.replace("%2B", "+")
            )
        else:
            assert body[name] == (value if value is not None else {"limit": 50, "offset": 0}[name])


def test_bounds(service: Service) -> None:
    customer = service.customer()
    for kind, default, most in (("missed", 100, 500), ("incoming", 50, 200), ("outgoing", 50, 200)):

        def applied(query: str, kind: str = kind) -> tuple[int, int]:
            body = get(service, kind, query, **bearer(customer.key)).json()
            return body["limit"], body["offset"]

        assert applied("") == (default, 0)
        assert applied("limit=0") == applied("limit=-5") == applied("limit=-" + "9" * 5_000) == (1, 0)
        assert applied("limit=501") == applied("limit=" + "9" * 5_000) == (most, 0)
        assert applied("offset=-1") == (default, 0)
        assert applied("offset=" + "9" * 30) == (default, 2**63 - 1)
        assert applied("limit=" + "0" * 5_000 + "7") == (7, 0)
        assert applied("limit=3&limit=4&limit=") == (default, 0)
    service.send(customer.token, call(type="incoming"))
    assert len(rows(service, "incoming", customer, f"date_from_ms=-{'9' * 30}&date_to_ms={'9' * 30}")) == 1
    assert rows(service, "incoming", customer, f"date_from_ms={'9' * 30}") == []


def test_parameters_that_are_refused_or_ignored(service: Service) -> None:
    customer = service.customer()
    for query in ("sort_by=password", "sort_by=CALL_DATE_MS", "sort_dir=up", "q=" + "x" * 101, "q=" + "x" * 5_000,
                  "q=a%00b", "q=%FF", "q=%ED%A0%80", "sort_by=c.at_ms;drop table calls"):  # fmt: skip
        answer = get(service, "outgoing", query, **bearer(customer.key))
        assert refused(answer) == (400, "invalid_parameter"), query
        assert query.split("=")[0] in answer.json()["detail"]
    for query in ("anything=1", "%FF=1", "search=a%00", "unknown=%FF", "&&=&", "q=" + "é" * 100, "sort_dir=+AsC+"):
        assert get(service, "outgoing", query, **bearer(customer.key)).status_code == 200, query
    body = get(service, "outgoing", "q=+an%20na+&sort_dir=+AsC", **bearer(customer.key)).json()
    assert (body["filters"]["q"], body["sort_dir"]) == ("an na", "asc")
    assert get(service, "outgoing", "q=100%", **bearer(customer.key)).json()["filters"]["q"] == "100%"
    assert get(service, "outgoing", "q=%zz%2", **bearer(customer.key)).json()["filters"]["q"] == "%zz%2"


def test_case_15_plus_signs(service: Service) -> None:
    customer = service.customer()
    service.send(
        customer.token,
        call("+1 202 555 01 01", "outgoing"),
        call("+12025550102", "outgoing"),
        call("0012025550103", "outgoing", cached_name="C++ club"),
        call("555123", "outgoing"),
    )

    def numbers(query: str) -> list[str]:
        return [row["phone_number"] for row in rows(service, "outgoing", customer, query)][::-1]

    everything = ["+1 202 555 01 01", "+12025550102", "0012025550103", "555123"]
    assert numbers("q=+12025") == numbers("q=%2B12025") == everything[:3]
    assert numbers("q=+") == everything
    assert get(service, "outgoing", "q=+", **bearer(customer.key)).json()["filters"]["q"] is None
    assert numbers("q=%2B") == everything[:3]
    assert numbers("q=C%2B%2B") == ["0012025550103"]
    assert numbers("q=5%E2%80%930102") == numbers("q=(5)0.1/02") == [everything[1]]
    assert numbers("q=01%C2%A001") == [everything[0]]


def test_case_17_direction_marks(service: Service) -> None:
    customer = service.customer()
    number = "\u202a+1 202 555 0117\u202c"
    service.send(customer.token, call(number))
    for sought in ("0117", "12025550117", number):
        answer = service.http.get("/call/missed/list/", params={"search": sought}, headers=bearer(customer.key))
        assert answer.json()["data"][0]["number"] == number, sought
    assert service.statuses(customer.token, call("+1 202 555 0117")) == ["updated"]


def test_case_19_turkish_letters(service: Service) -> None:
    customer = service.customer()
    kept = ["İSMAİL IŞIK", "Isparta Taksi", "ılgaz", "ISIL"]
    service.send(customer.token, *(call(f"+9{i}", "outgoing", cached_name=name) for i, name in enumerate(kept)))
    sought = {
        "ismail": [0], "ışık": [0], "isik": [0], "ISPARTA": [1], "ısparta": [1], "ilgaz": [2], "ısıl": [3],
    }  # fmt: skip
    for text, places in sought.items():
        assert names(service, customer, f"q={text}") == [kept[place] for place in places], text


def test_case_21_nothing_is_special(service: Service) -> None:
    customer = service.customer()
    kept = ["50% off", "500 off", "snake_case", "snakeXcase", "O'Brien", 'say "hi" now', "NEAR miss", "col:name",
            "star*light", "back\\slash"]  # fmt: skip
    service.send(customer.token, *(call(f"+9{i}", "outgoing", cached_name=name) for i, name in enumerate(kept)))
    for text in [*kept, '"', "'", "*", "_", "%", "\\", "NEAR(", "-"]:
        found = service.http.get("/call/outgoing/list/", params={"q": text}, headers=bearer(customer.key)).json()[
            "rows"
        ]
        expected = {name for name in kept if text.lower() in name.lower()}
        assert {row["cached_name"] for row in found} == expected, text


def test_search_in_numbers_and_names_of_missed_calls(service: Service) -> None:
    customer = service.customer()
    service.send(customer.token, call("+32 470 12", cached_name="Nguyễn Thị Đúng"), call("0470", cached_name="José"))
    for text in ("nguyen", "dung", "32 47", "+3247", "٣٢٤٧", "3247"):
        assert len(rows(service, "missed", customer, f"search={text}")) == 1, text
    assert len(rows(service, "missed", customer, "search=JOSE")) == 1
    assert len(rows(service, "missed", customer, "search=470")) == 2
    assert len(rows(service, "missed", customer, "search=%CC%81")) == 2  # it folds to nothing
    assert len(rows(service, "missed", customer, "q=nobody")) == 2  # the other lists' parameter


def test_connected_phones(service: Service) -> None:
    customer = service.customer()
    from ringback.devices import create_device, create_device_token

    async def more(connection: Any) -> list[str]:
        tokens = []
        for name in ("Vân's phone", "unused", "old"):
            device = await create_device(connection, customer.id, name)
            tokens.append(await create_device_token(connection, customer.id, device.number))
        await create_device(connection, customer.id, "import")
        return tokens

    second, _, old = on_database(service.database_url, more)

    def phones(query: str = "") -> Any:
        answer = service.http.get(f"/gateway/mobile/list/?{query}", headers=bearer(customer.key))
        assert answer.status_code == 200
        return answer.json()

    assert phones() == {
        "success": True, "connected_now": 0, "connected_limit": None, "connected_available": None,
        "filters": {"sid": None, "search": None}, "items": [], "note": "",
    }  # fmt: skip
    service.send(customer.token)
    service.sync(second, b"no JSON")
    service.send(old)
    now = int(time.time() * 1_000)
    for name, ago_min in (("phone", 31), ("Vân's phone", 5), ("old", 121)):
        on_database(
            service.database_url,
            lambda c, name=name, ago_min=ago_min: c.execute(  # type: ignore[misc]
                "update devices set last_seen_ms = $3 where account_id = $1 and name = $2",
                customer.id, name, now - ago_min * 60_000,
            ),
        )  # fmt: skip
    found = phones()
    assert found["connected_now"] == 3
    assert [(item["label"], item["status"], item["online"]) for item in found["items"]] == [
        ("Vân's phone", "online", True), ("phone", "late", False), ("old", "silent", False),
    ]  # fmt: skip
    assert list(found["items"][0]) == [
        "sid", "label", "status", "online", "battery", "version", "last_seen", "synced_through",
    ]  # fmt: skip
    first = found["items"][0]
    assert first["last_seen"] == datetime.fromtimestamp((now - 300_000) // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    assert (first["battery"], first["version"], first["synced_through"]) == (None, None, None)
    assert [item["label"] for item in phones(f"sid=+{first['sid']}")["items"]] == ["Vân's phone"]
    assert phones("sid=x")["items"] == []
    assert phones("sid=x")["connected_now"] == 3
    assert [item["label"] for item in phones("search=VAN")["items"]] == ["Vân's phone"]
    assert phones("search=+VAN&sid=")["filters"] == {"sid": None, "search": "VAN"}

    from ringback.devices import revoke_device

    on_database(service.database_url, lambda c: revoke_device(c, customer.id, "old"))
    assert phones()["connected_now"] == 2


def test_an_upper_case_path_is_another(service: Service) -> None:
    assert refused(service.http.get("/call/MISSED/list/")) == (404, "not_found")
