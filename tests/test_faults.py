"""What goes wrong inside: clear answers, and nothing secret in answers and logs."""

from __future__ import annotations

import json
from pathlib import Path

import apsw

from postgresql import new_database
from service import Service, bearer, call, on_database


def test_a_fault_is_a_request_id_found_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        service = Service(f"sqlite:///{tmp_path}/ringback.db", log=out)
        try:
            customer = service.customer()
            service.send(customer.token, call("+12025550199", cached_name="Secret Person"))
            apsw.Connection(str(tmp_path / "ringback.db")).execute("drop table parties")
            list_answer = service.http.get("/call/missed/list/", params={"apikey": customer.key, "search": "Secret"})
            sync_answer = service.sync(customer.token, {"calls": [call("+12025550198")]})
        finally:
            service.stop()
    text = log.read_text()
    for answer, code in ((list_answer, "error"), (sync_answer, "code")):
        assert (answer.status_code, answer.json()[code]) == (500, "server_error")
        request_id = answer.headers["x-request-id"]
        assert request_id == answer.json()["detail"]
        (fault,) = [line for line in text.splitlines() if request_id in line and '"fault"' in line]
        assert json.loads(fault)["kind"].startswith("apsw")
        assert "parties" not in answer.text
        assert "Traceback" not in answer.text
    for secret in (customer.key, customer.token, "2025550199", "2025550198", "Secret"):
        assert secret not in text


def test_a_database_that_is_busy_or_gone_is_unavailable(postgresql_url: str) -> None:
    url = new_database(postgresql_url)
    service = Service(url)
    try:
        customer = service.customer()
        assert service.statuses(customer.token, call()) == ["created"]
        name = url.rpartition("/")[2]
        on_database(postgresql_url, lambda c: c.execute(f"alter database {name} with allow_connections false"))
        on_database(
            postgresql_url,
            lambda c: c.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
        )
        for _ in range(3):
            answer = service.sync(customer.token, {"calls": [call()]})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            answer = service.http.get("/call/missed/list/", headers=bearer(customer.key))
            assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
            assert service.http.get("/readyz").status_code == 503
        on_database(postgresql_url, lambda c: c.execute(f"alter database {name} with allow_connections true"))
        assert service.statuses(customer.token, call()) == ["duplicate"]
        assert service.http.get("/readyz").status_code == 200
    finally:
        service.stop()
