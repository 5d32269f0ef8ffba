"""`/openapi.json` describes every request and every answer, so that clients can be made from it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import Browser, expect

from browser import opened
from ringback.calls.contract import KINDS
from ringback.web.app import METHODS, ROUTES
from ringback.web.openapi import describe
from service import Customer, Service, bearer, call, make_member, run
from test_docs import is_page
from test_kills import new_seed

DOCUMENT = describe("")
BIN = Path(sys.executable).parent
CASES = 800


def closed(schema: Any) -> Any:
    """A schema that allows no key which it does not name, with the schemas of the document beside it."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(one) for name, one in schema.items()}
    return inner | {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else inner


COMPONENTS = closed(DOCUMENT["components"])


def check(schema: Any, value: Any) -> None:
    validator = Draft202012Validator({**closed(schema), "components": COMPONENTS}, format_checker=FormatChecker())
    assert not [(list(error.path), error.message) for error in validator.iter_errors(value)]


def operations() -> list[tuple[str, str, Any]]:
    return [(method, path, one) for path, item in DOCUMENT["paths"].items() for method, one in item.items()]


def test_the_document_is_valid_and_the_same_everywhere(service: Service) -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    answer = service.http.get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == DOCUMENT == json.loads(run("openapi").stdout)
    named = run("openapi", RINGBACK_PUBLIC_URL="https://calls.example.org")
    assert json.loads(named.stdout)["servers"] == [{"url": "https://calls.example.org"}]


def test_every_request_of_a_program_is_described() -> None:
    described = {(method.upper(), path.rstrip("/")) for method, path, _ in operations()}
    expected = {
        (method, re.sub(r":\w+}", "}", path))
        for handler in ROUTES if not is_page(handler)
        for path in handler.paths for method in handler.http_methods - {"HEAD", "OPTIONS"}
    }  # fmt: skip
    assert described == {one for one in expected if one != ("GET", "/pair")}  # which is a page


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_examples_are_what_they_are_examples_of(method: str, path: str, operation: Any) -> None:
    for answer in [*operation["responses"].values(), operation.get("requestBody", {})]:
        for content in answer.get("content", {}).values():
            for example in [content.get("example"), *(one["value"] for one in content.get("examples", {}).values())]:
                if example is not None:
                    check(content["schema"], example)


@pytest.fixture(scope="module")
def any_service(fresh: Callable[[str], str]) -> Iterator[Service]:
    """A server for what does not depend on the database."""
    service = Service(fresh("sqlite"))
    yield service
    service.stop()


@pytest.fixture
def customer(service: Service) -> Customer:
    return make_full(service)


def make_full(service: Service) -> Customer:
    """A customer with a call of each kind, a rejected report and a gap."""
    customer = service.customer()
    reports = [call(type=kind, date_ms=1_761_231_000_000 + n * 1_000) for n, kind in enumerate(KINDS)]
    service.send(customer.token, *reports, {"number": None})
    for at_s, number in ((1_761_231_000, "a"), (1_761_239_000, "b")):
        read = {"at_ms": at_s * 1_000, "logs": [{"sim_id": None, "rows": 500, "from_ms": at_s * 1_000 - 1}]}
        manifest = {"read": read, "sent_at_ms": at_s * 1_000 + 1, "rows": []}
        assert service.http.post("/v1/sync/manifest", json=manifest, headers=bearer(customer.token)).is_success, number
    return customer


def test_answers_have_what_is_described_and_nothing_else(service: Service, customer: Customer) -> None:
    key, token = bearer(customer.key), bearer(customer.token)
    calls = service.http.get("/v1/calls?total=1&limit=2", headers=key).json()["calls"]
    device = service.http.get("/v1/devices", headers=key).json()["devices"][0]
    assert device["gaps"]
    body = {"url": "https://crm.example.org/calls", "events": ["call.missed"]}
    webhook = service.http.post("/v1/webhooks", json=body, headers=key).json()["id"]
    delivery = service.http.post(f"/v1/webhooks/{webhook}/test", headers=key).json()["delivery_id"]
    ids = {"call_id": calls[0]["id"], "device_id": device["id"], "gap_id": device["gaps"][0]["id"]}
    ids |= {"webhook_id": webhook, "delivery_id": delivery}
    last = ("end_call", "end_device", "end_webhook")
    for method, path, operation in sorted(operations(), key=lambda one: one[2]["operationId"] in last):
        if path == "/v1/events":  # has no end; test_events reads it
            continue
        schemes = [name for one in operation["security"] for name in one]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        answer = service.http.request(
            method.upper(), path.format(**ids), json=body, headers=token if "token" in schemes else key
        )
        expected = 403 if path == "/v1/devices/pair" else int(next(iter(operation["responses"])))
        assert answer.status_code == expected, path
        described = operation["responses"][str(expected)]
        assert "X-Request-ID" in answer.headers
        for media_type, content in described.get("content", {}).items():
            assert answer.headers["Content-Type"].partition(";")[0] == media_type
            if media_type.endswith("json"):
                check(content["schema"], answer.json())


def test_errors_are_described(service: Service, customer: Customer) -> None:
    for method, path, operation in operations():
        if not operation["security"]:
            continue
        answer = service.http.request(method.upper(), path)
        content = operation["responses"][str(answer.status_code)]["content"][answer.headers["Content-Type"]]
        check(content["schema"], answer.json())
        assert answer.json().get("code", answer.json().get("error")) in content["examples"]


def test_options_names_every_method(service: Service) -> None:
    for path, methods in METHODS.items():
        answer = service.http.options(re.sub("{.+?}", "1", path))
        assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (204, methods), path


CONFIGURATION = """
[auth.openapi.key]
bearer = "{key}"
[auth.openapi.keyHeader]
api_key = "{key}"
[auth.openapi.keyParameter]
api_key = "{key}"
[auth.openapi.token]
bearer = "{token}"

# A missing key is 400, an empty value counts as absent, a bad report is answered alone.
[checks]
ignored_auth.enabled = false
negative_data_rejection.enabled = false

# What a cursor or an id of the account may be, no schema can say.
[[operations]]
include-operation-id = "calls"
parameters = {{ "query.cursor" = "", "query.device" = "{device}" }}
[[operations]]
include-operation-id = ["sync_rejected", "deliveries", "changes"]
parameters = {{ "query.cursor" = "" }}

# Which addresses may be sent to, and that a range begins before it ends, no schema can say either.
[[operations]]
include-operation-id = ["make_webhook", "patch_webhook", "replay_events"]
checks.positive_data_acceptance.enabled = false

# It has no end.
[[operations]]
include-operation-id = "events"
enabled = false

# A device that was deleted is still there, as a revoked one.
[[operations]]
include-tag = "Devices"
checks.use_after_free.enabled = false
"""


# 2,000 cases in all: those that each schema suggests against one database, those made up and in rows against the other.
PHASES = {"sqlite": ("examples,coverage", 1), "postgresql": ("fuzzing,stateful", 70)}


@pytest.mark.timeout(600)
def test_no_answer_is_other_than_described(service: Service, customer: Customer, tmp_path: Path) -> None:
    device = service.http.get("/v1/devices", headers=bearer(customer.key)).json()["devices"][0]["id"]
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(CONFIGURATION.format(key=customer.key, token=customer.token, device=device))
    phases, examples = PHASES[service.database_url.partition(":")[0]]
    seed = new_seed()
    tried = subprocess.run(
        (BIN / "schemathesis", "--config-file", settings, "run", f"{service.url}/openapi.json", "--no-color",
         "--phases", phases, "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout[-8_000:]
    generated = re.search(r"(\d+) generated", tried.stdout)
    assert generated, tried.stdout[-2_000:]
    print(generated[0])
    assert int(generated[1]) >= CASES, generated[0]


PYTHON_CLIENT = """
import sys
from made import AuthenticatedClient
from made.api.lists_of_sms_mobile_api import incoming_list, missed_list, outgoing_list
client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
print(len(missed_list.sync(client=client, include="rejected,blocked").data))
print(len(incoming_list.sync(client=client).rows), outgoing_list.sync(client=client, q="5550100").rows[0].phone_number)
"""

TYPESCRIPT_CLIENT = """
import createClient from "openapi-fetch";
import type { paths } from "./made.js";
const [baseUrl, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const missed = await client.GET("/call/missed/list/", { params: { query: { include: "rejected,blocked" } } });
const incoming = await client.GET("/call/incoming/list/");
const outgoing = await client.GET("/call/outgoing/list/", { params: { query: { q: "5550100" } } });
console.log(missed.data!.data.length);
console.log(incoming.data!.rows.length, outgoing.data!.rows[0].phone_number);
"""


def shell(folder: Path, *command: str | Path) -> str:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_client_made_for_python_fetches_the_lists(any_service: Service, tmp_path: Path) -> None:
    service, customer = any_service, make_full(any_service)
    (tmp_path / "openapi.json").write_bytes(service.http.get("/openapi.json").content)
    shell(tmp_path, "openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none",
          "--output-path", "made")  # fmt: skip
    (tmp_path / "client.py").write_text(PYTHON_CLIENT)
    assert shell(tmp_path, sys.executable, "client.py", service.url, customer.key) == "3\n1 +12025550100\n"


def test_a_client_made_for_typescript_fetches_the_lists(any_service: Service, tmp_path: Path) -> None:
    service, customer = any_service, make_full(any_service)
    (tmp_path / "openapi.json").write_bytes(service.http.get("/openapi.json").content)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shell(tmp_path, "npm", "install", "--silent", "openapi-typescript@7", "openapi-fetch@0", "typescript@5",
          "@types/node@22")  # fmt: skip
    shell(tmp_path, "npx", "openapi-typescript", "openapi.json", "-o", "made.d.ts")
    (tmp_path / "client.ts").write_text(TYPESCRIPT_CLIENT)
    shell(tmp_path, "npx", "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck",
          "client.ts")  # fmt: skip
    assert shell(tmp_path, "node", "client.js", service.url, customer.key) == "3\n1 +12025550100\n"


def test_a_person_tries_a_request_on_the_page(any_service: Service, chromium: Browser) -> None:
    customer = make_full(any_service)
    with opened(chromium, any_service) as page:
        page.goto("/docs")
        expect(page.locator(".opblock")).to_have_count(len(operations()))
        page.get_by_role("button", name="Authorize").first.click()
        page.locator("#auth-bearer-value").first.fill(customer.key)
        page.get_by_role("button", name="Apply credentials").first.click()
        page.get_by_role("button", name="Close").first.click()
        missed = page.locator("#operations-Lists_of_SMSMobileAPI-missed_list")
        missed.locator(".opblock-summary-control").click()
        missed.get_by_role("button", name="Execute").click()
        expect(missed.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(missed.locator(".live-responses-table")).to_contain_text("+12025550100")


def test_the_page_of_developers_leads_there(any_service: Service, chromium: Browser) -> None:
    member = make_member(any_service.database_url, any_service.customer().id)
    with opened(chromium, any_service, member) as page:
        page.goto("/developers")
        page.get_by_role("link", name="All requests").click()
        expect(page.locator(".opblock")).to_have_count(len(operations()))
