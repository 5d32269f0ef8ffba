"""Files come in through the dashboard, and the list of calls goes out there."""

from __future__ import annotations

import csv
import io
import random
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from playwright.sync_api import Browser, expect

from backup_files import backup, call_element
from browser import opened
from service import Customer, Service, call, make_member, new_name
from source_files import one_call, write_ios
from test_access import browser
from test_sources import random_calls

GOOD = [call(f"+1202555{n:04}", date_ms=1_761_231_000_000 + n * 1_000, cached_name="=Anna, B") for n in range(5)]
BAD = ['<call number="+1" date="1761231000" type="3" />', '<call number="+2" type="3" />']
FILE = backup([*map(call_element, GOOD), *BAD]).encode()


@pytest.fixture
def shop(service: Service) -> Customer:
    return service.customer()


def dropped(service: Service, customer: Customer, *files: tuple[str, bytes], **fields: str) -> list[str]:
    """Drop files as a member; what the history says of each, newest first, when all have come in."""
    with browser(service, make_member(service.database_url, customer.id, "member")) as client:
        before = client.get("/imports").text.count("<tr>")
        answer = client.post("/imports", files=[("files", file) for file in files], data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/imports"), answer.text
        deadline = time.monotonic() + 60
        while True:
            rows = re.findall("<tr>(.*?)</tr>", client.get("/imports").text, re.DOTALL)[1:]
            texts = [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in rows]
            if len(texts) + 1 >= max(before, 1) + len(files) and not any(
                "%" in text or "Being read" in text for text in texts
            ):
                return texts
            assert time.monotonic() < deadline, texts
            time.sleep(0.05)


def missed(service: Service, customer: Customer) -> int:
    return int(service.http.get("/call/missed/list/", params={"apikey": customer.key}).json()["count"])


def test_files_are_dropped(service: Service, shop: Customer) -> None:
    [text] = dropped(service, shop, ("calls.xml", FILE))
    assert re.search(r"calls\.xml Done, save some rows 5 0 0 2$", text), text
    assert missed(service, shop) == 5
    with browser(service, make_member(service.database_url, shop.id, "viewer")) as client:
        target = re.search(r'href="(/imports/[^"]+)"', client.get("/imports").text)
        assert target
        page = client.get(target[1]).text
        assert "date_ms is before 1990" in page
        assert "date_ms is missing" in page
        assert "1761231000&#34;" in page
        assert 'enctype="multipart/form-data"' not in client.get("/imports").text
        assert client.post("/imports", files=[("files", ("x.xml", FILE))]).status_code == 403
    again = dropped(service, shop, ("calls.xml", FILE))
    assert again[0].endswith("Done, save some rows 0 0 5 2")
    assert missed(service, shop) == 5


def test_several_files_of_a_phone(service: Service, shop: Customer, tmp_path: Path) -> None:
    write_ios(tmp_path / "CallHistory.storedata", [one_call(number="+99")], journal="wal")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("calls.xml", FILE)
    files = [
        ("CallHistory.storedata", (tmp_path / "CallHistory.storedata").read_bytes()),
        ("CallHistory.storedata-wal", b""),
        ("../../etc/calls.zip", packed.getvalue()),
        ("nothing.txt", b"hello"),
    ]
    texts = dropped(service, shop, *files[:1], *files[2:], new="van")
    assert len(texts) == 3
    assert {re.sub(r"^.*? (calls|Call|nothing)", r"\1", text) for text in texts} == {
        "calls.zip Done, save some rows 5 0 0 2", "CallHistory.storedata Done 1 0 0 0", "nothing.txt Refused 0 0 0 0",
    }  # fmt: skip
    with browser(service, make_member(service.database_url, shop.id)) as client:
        assert ">van<" in client.get("/phones").text
        for target in re.findall(r'href="(/imports/[^"]+)"', client.get("/imports").text):
            page = client.get(target).text
            assert ("the newest calls may be missing" in page) == ("storedata-wal" in page)
            assert ("<h1><bdi>CallHistory" in page) == ("storedata-wal" in page)


def test_what_is_refused(service: Service, shop: Customer) -> None:
    with browser(service, make_member(service.database_url, shop.id, "member")) as client:
        for files, fields, sentence in (
            ([], {}, "Choose a file first."),
            ([("files", ("x.xml", FILE))], {"new": "x" * 101}, "A name has"),
            ([("files", ("x.xml", FILE))], {"time_zone": "Nowhere/City"}, "There is no such time zone"),
        ):
            answer = client.post("/imports", files=files or [("other", ("", b""))], data=fields)
            assert answer.status_code == 400
            assert sentence in answer.text or sentence == "A name has"
        assert client.post("/imports", content=b"x", headers={"Content-Type": "multipart/form-data"}).status_code == 400
        other = service.customer()
        dropped(service, other, ("calls.xml", FILE))
        with browser(service, make_member(service.database_url, other.id)) as stranger:
            target = re.search(r'href="(/imports/[^"]+)"', stranger.get("/imports").text)
            assert target
            assert client.get(target[1]).status_code == 404
        for id in ("i1-999999", "x", "i99999999999999999999-1"):
            assert client.get(f"/imports/{id}").status_code == 404
        assert "calls.xml" not in client.get("/imports").text


def test_an_interrupted_import_says_so(database_url: str) -> None:
    service = Service(database_url)
    try:
        shop = service.customer()
        member = make_member(database_url, shop.id, "member")
        rows = [call_element(call(f"+1{n:06}", date_ms=1_600_000_000_000 + n * 1_000)) for n in range(60_000)]
        with browser(service, member) as client:
            client.post("/imports", files=[("files", ("long.xml", backup(rows).encode()))])
            deadline = time.monotonic() + 60
            while not re.search("[1-9][0-9]?%", client.get("/imports").text):
                assert time.monotonic() < deadline
        service.stop()
        service.start()
        with browser(service, member) as client:
            assert "Interrupted" in client.get("/imports").text
        assert dropped(service, shop, ("long.xml", backup(rows[:10]).encode()))[0].endswith("Done 0 0 10 0")
    finally:
        service.stop()


def test_the_list_goes_out(service: Service, shop: Customer) -> None:
    service.send(shop.token, *GOOD, call("+32470000001", type="outgoing", date_ms=1_761_231_100_000))
    with browser(service, make_member(service.database_url, shop.id, "viewer")) as client:
        answer = client.get("/calls", params={"kind": "missed", "format": "csv", "sort": "started_at"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert re.fullmatch(r'attachment; filename="calls-\d{4}-\d\d-\d\d\.csv"', answer.headers["content-disposition"])
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [row["number"] for row in rows] == [report["number"] for report in GOOD]
        assert {row["name"] for row in rows} == {"'=Anna, B"}
        [sheet] = openpyxl.load_workbook(io.BytesIO(client.get("/calls?format=xlsx").content), read_only=True)
        numbers = [row[1].value for row in sheet.iter_rows(min_row=2)]
        assert numbers == ["+32470000001", *[report["number"] for report in GOOD[::-1]]]
        link = re.search(r'href="(/numbers/[^"?]+)"', client.get("/calls?q=+32470000001").text)
        assert link
        assert client.get(f"{link[1]}?format=csv").text.count("\n") == 2
        assert client.get("/calls?format=csv&sort=sideways").status_code == 400
        assert "<html" in client.get("/calls?format=pdf").text


def test_every_call_of_a_long_list_goes_out_once(service: Service, shop: Customer) -> None:
    calls = random_calls(random.Random(5), 6_000)
    for start in range(0, len(calls), 2_000):
        service.send(shop.token, *({**one, "source": "provider"} for one in calls[start : start + 2_000]))
    with browser(service, make_member(service.database_url, shop.id, "viewer")) as client:
        for sort in ("", "&sort=started_at"):
            rows = list(csv.DictReader(io.StringIO(client.get(f"/calls?format=csv{sort}").text, newline="")))
            moments = [int(row["started_at_ms"]) for row in rows]
            assert moments == sorted(moments, reverse=not sort)
            stored = service.http.get("/v1/sync/rejected", headers={"Authorization": f"Bearer {shop.key}"}).json()
            assert stored["rejected"] == []
            assert len({(row["kind"], row["started_at_ms"], row["number"], row["occurrence"]) for row in rows}) == len(
                rows
            )
            exact = re.search(r"([0-9,]+) calls", client.get("/calls").text)
            assert exact
            assert len(rows) == int(exact[1].replace(",", ""))


@pytest.fixture(scope="module")
def own(fresh: Callable[[str], str]) -> Iterator[Service]:
    service = Service(fresh("sqlite"))
    yield service
    service.stop()


def test_drop_a_file_read_its_rejected_rows_and_bring_its_export_back(
    chromium: Browser, own: Service, tmp_path: Path
) -> None:
    member = make_member(own.database_url, own.customer().id, "member")
    file = tmp_path / f"{new_name('calls')}.xml"
    file.write_bytes(FILE)
    with opened(chromium, own, member, accept_downloads=True) as page:
        page.goto("/imports")
        drop(page, file)
        page.get_by_role("button", name="Bring in").click()
        expect(page.get_by_text("Done, save some rows")).to_be_visible()
        page.get_by_role("link", name=file.name).click()
        expect(page.get_by_text("date_ms is before 1990")).to_be_visible()
        page.goto("/calls")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        exported = tmp_path / "calls.csv"
        download.value.save_as(exported)
        page.goto("/imports")
        page.get_by_label("Files: drop them here, or choose them").set_input_files(exported)
        page.get_by_role("button", name="Bring in").click()
        row = page.get_by_role("row").filter(has_text="calls.csv")
        expect(row.get_by_text("Done", exact=True)).to_be_visible()
        assert [cell.inner_text() for cell in row.get_by_role("cell").all()[3:]] == ["0", "0", "5", "0"]
        page.goto("/calls")
        expect(page.get_by_text("5 calls", exact=True)).to_be_visible()


def drop(page: Any, file: Path) -> None:
    """Drop a file on the page, as from the desktop."""
    data = page.evaluate_handle(
        "([name, text]) => { const data = new DataTransfer(); data.items.add(new File([text], name)); return data; }",
        [file.name, file.read_text("utf-8")],
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": data})


def test_drop_a_file_without_javascript(chromium: Browser, own: Service, tmp_path: Path) -> None:
    member = make_member(own.database_url, own.customer().id, "member")
    file = tmp_path / "calls.xml"
    file.write_bytes(FILE)
    with opened(chromium, own, member, java_script_enabled=False) as page:
        page.goto("/imports")
        page.get_by_label("Files: drop them here, or choose them").set_input_files(file)
        page.get_by_role("button", name="Bring in").click()
        expect(page.get_by_role("link", name="calls.xml")).to_be_visible()


def test_a_file_that_is_refused_says_why(chromium: Browser, own: Service, tmp_path: Path) -> None:
    member = make_member(own.database_url, own.customer().id, "member")
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    with opened(chromium, own, member, refusals=1) as page:
        page.goto("/imports")
        page.get_by_label("Files: drop them here, or choose them").set_input_files(file)
        page.get_by_text("Whose calls, and which time zone").click()
        page.get_by_label("Time zone of times without an offset").fill("Mars/Olympus")
        page.get_by_role("button", name="Bring in").click()
        expect(page.get_by_text("There is no such time zone")).to_be_visible()
        page.get_by_label("Time zone of times without an offset").fill("")
        page.get_by_role("button", name="Bring in").click()
        expect(page.get_by_text("Refused")).to_be_visible()
        page.get_by_role("link", name="notes.txt").click()
        expect(page.get_by_text("It is no backup of calls that Ringback knows.")).to_be_visible()
