"""What OpenAPI says of each request that a client may send: one entry a handler."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ringback.addresses import LONGEST_URL
from ringback.calls.contract import KINDS, LONGEST_TEXT, MOST_INT
from ringback.calls.filters import MOST_NUMBER
from ringback.calls.manifest import CLASSES, MOST_ROWS, MOST_SECOND
from ringback.calls.query import ORDERS
from ringback.events import TYPES
from ringback.web.calls import calls, changes, end_call, one_call
from ringback.web.compat import incoming_list, missed_list, outgoing_list, phone_list
from ringback.web.devices import change_device, devices, end_device, end_gap, one_device
from ringback.web.events import events
from ringback.web.health import healthz, readyz
from ringback.web.observe import metrics
from ringback.web.openapi.schemas import (
    NAME,
    Schema,
    moment,
    nullable,
    record,
    reference,
    searched,
    short,
    some,
    text,
    whole,
    word,
    words,
)
from ringback.web.pairing import agent_program, pair_device
from ringback.web.sync import MOST_REPORTS, PERMISSIONS, sync_calls, sync_heartbeat, sync_manifest, sync_rejected
from ringback.web.webhooks import (
    deliveries,
    end_webhook,
    make_webhook,
    one_delivery,
    one_webhook,
    patch_webhook,
    replay_events,
    resend_delivery,
    rotate_webhook,
    send_test,
    webhooks,
)
from ringback.webhooks import LONGEST_OVERLAP_S, OVERLAP_S


class Parameter(NamedTuple):
    """A parameter of the query."""

    name: str
    description: str
    schema: Schema


class Operation(NamedTuple):
    """A request. Its path, methods, summary and who may send it are the handler's own."""

    tag: str
    answer: Schema | None
    """Of JSON; None where the answer is none."""
    example: Any = None
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    body_example: Any = None
    errors: tuple[str, ...] = ()
    """Codes besides those that follow from who may send it."""
    status: int = 200
    media_type: str = "application/json"


CALLS, LISTS, DEVICES, PHONES, SERVER = "Calls", "Lists of SMSMobileAPI", "Devices", "What phones send", "Server"
WEBHOOKS = "Webhooks"


def _limit(usual: int, most: int) -> Parameter:
    return Parameter("limit", "Rows a page.", whole(minimum=1, maximum=most, default=usual))


def _search(name: str) -> Parameter:
    return Parameter(name, "A part of a name or number, such as `nguyen`.", searched())


def _since_1970(description: str = "") -> Schema:
    return whole(f"{description} Milliseconds since 1970.".strip(), minimum=0, maximum=MOST_SECOND * 1_000)


_OFFSET: Final = Parameter("offset", "The first row.", whole(minimum=0, default=0))
_CURSOR: Final = Parameter("cursor", "The `next_cursor` of the page before.", text())
_DAY: Final = text(format="date")
_LIST: Final = (
    _limit(50, 200),
    _OFFSET,
    _search("q"),
    Parameter("date_from_ms", "From this moment on: milliseconds since 1970.", whole()),
    Parameter("date_to_ms", "To this moment, included.", whole()),
    Parameter("sort_by", "The order.", word(*ORDERS) | {"default": "call_date_ms"}),
    Parameter("sort_dir", "Its direction, in any letter case.", word("desc", "asc") | {"default": "desc"}),
)
_CALL_PAGE: Final = {
    "success": True,
    "apikey": None,
    "limit": 50,
    "offset": 0,
    "sort_by": "duration_sec",
    "sort_dir": "desc",
    "filters": {"date_from_ms": "1761000000000", "date_to_ms": "1792000000000", "q": None},
    "count": 1,
    "rows": [
        {
            "phone_number": "+123490000000",
            "cached_name": None,
            "call_date_ms": 1_761_231_000_000,
            "call_datetime_utc": "2025-10-23 14:50:00",
            "duration_sec": 120,
            "geo_location": "Belgique",
            "created_at": "2026-02-24 04:14:37",
        }
    ],
}
_CALL: Final = {
    "id": "c1-17",
    "device_id": "d1-1",
    "kind": "missed",
    "number": "+12025550123",
    "number_e164": "+12025550123",
    "name": "Anna",
    "geo_location": None,
    "started_at": "2026-02-24T12:49:39.250Z",
    "started_at_ms": 1_771_937_379_250,
    "precision": "ms",
    "duration_sec": 0,
    "presentation": "allowed",
    "country_iso": "US",
    "sim_id": "1",
    "type_raw": "3",
    "source": "provider",
    "created_at": "2026-02-24T12:50:01.004Z",
    "updated_at": "2026-02-24T12:50:01.004Z",
    "change": 17,
}
_DEVICE: Final = {
    "id": "d1-1",
    "name": "Anna's phone",
    "status": "online",
    "platform": "android",
    "agent_version": "1.0",
    "time_zone": "Europe/Paris",
    "battery": 80,
    "charging": False,
    "permission": "ok",
    "outbox": 0,
    "last_seen": "2026-02-24T12:50:01.004Z",
    "synced_through": "2026-02-24T12:50:00.000Z",
    "gaps": [{"id": "g1-1", "from": "2026-02-01T08:00:00.000Z", "to": "2026-02-02T08:00:00.000Z", "closed_at": None}],
}
_WEBHOOK: Final = {
    "id": "w1-1",
    "url": "https://crm.example.org/calls",
    "events": ["call.missed"],
    "status": "active",
    "created_at": "2026-02-24T12:49:39.250Z",
}
_WHSEC: Final = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_DELIVERY: Final = {
    "id": "y1-1",
    "webhook_id": "w1-1",
    "event_id": "0b0a1f57-6d1c-4f0c-9d52-4a3a4c1c2f5e",
    "type": "call.missed",
    "status": "delivered",
    "change": 18,
    "created_at": "2026-02-24T12:50:01.004Z",
    "next_attempt_at": None,
    "attempts": [
        {
            "number": 1,
            "at": "2026-02-24T12:50:01.020Z",
            "duration_ms": 12,
            "status": 202,
            "error": None,
            "answer": "",
        }
    ],
}
_URL: Final = text("Where events are sent to: https, and a public address.", maxLength=LONGEST_URL)
_EVENTS: Final = some(word(*TYPES), minItems=1)
_NEW_SECRET: Final = nullable(
    text(
        "`whsec_` and the base64 of 32 bytes; made where none is given.",
        pattern="^whsec_[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
    )
)
_CHANGE: Final = whole(minimum=0, maximum=MOST_NUMBER)
_REPORT: Final = {"number": "+123470000000", "type": "missed", "date_ms": 1_761_231_000_000, "duration_sec": 0}
_WHEN: Final = "a moment, or a day of the account's time zone"
_MOMENT_OR_DAY: Final = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}

OPERATIONS: Final = {
    missed_list: Operation(
        LISTS,
        reference("MissedPage"),
        {
            "success": True,
            "offset": 0,
            "limit": 100,
            "count": 1,
            "data": [{"number": "+123470000000", "name": "John Doe", "date": "2026-02-24 12:49:39"}],
        },
        (
            _limit(100, 500),
            _OFFSET,
            _search("search"),
            Parameter("date_start", "From this day of the account's time zone on.", _DAY),
            Parameter("date_end", "To the end of this day.", _DAY),
            Parameter("include", "`rejected`, `blocked`: those too.", words("rejected", "blocked")),
        ),
    ),
    incoming_list: Operation(LISTS, reference("CallPage"), _CALL_PAGE, _LIST),
    outgoing_list: Operation(LISTS, reference("CallPage"), _CALL_PAGE, _LIST),
    phone_list: Operation(
        LISTS,
        reference("PhoneList"),
        {
            "success": True,
            "connected_now": 1,
            "connected_limit": None,
            "connected_available": None,
            "filters": {"sid": None, "search": None},
            "items": [
                {
                    "sid": "d1-1",
                    "label": "Anna's phone",
                    "status": "online",
                    "online": True,
                    "battery": 80,
                    "version": "1.0",
                    "last_seen": "2026-02-24 12:50:01",
                    "synced_through": "2026-02-24 12:50:00",
                }
            ],
            "note": "",
        },
        (
            Parameter("sid", "A device's id.", text()),
            Parameter("search", "A part of an id, name or version.", searched()),
        ),
    ),
    calls: Operation(
        CALLS,
        reference("CallList"),
        {"calls": [_CALL], "next_cursor": None, "synced_through": "2026-02-24T12:50:00.000Z"},
        (
            Parameter("kind", "Calls of these kinds, by commas.", words(*KINDS)),
            Parameter("device", "Ids of devices, by commas.", text()),
            Parameter(
                "number",
                "The same digits; from 7 digits on also where one number ends with the other.",
                searched(),
            ),
            _search("q"),
            Parameter("from", f"From here on: {_WHEN}.", _MOMENT_OR_DAY),
            Parameter("to", f"Up to here: {_WHEN}; a moment is not included, a day is.", _MOMENT_OR_DAY),
            Parameter("min_duration", "At least so many seconds.", whole(minimum=0)),
            Parameter("max_duration", "At most so many seconds.", whole(minimum=0)),
            Parameter("sim", "The SIM card's id.", searched()),
            Parameter("weekday", "1 (Monday) to 7, in the account's time zone.", whole(minimum=1, maximum=7)),
            Parameter("hour", "The hour that it began in, in the account's time zone.", whole(minimum=0, maximum=23)),
            Parameter("open", "`1`: missed calls that nobody called back or answered later.", word("0", "1")),
            Parameter("sort", "The order.", word("-started_at", "started_at") | {"default": "-started_at"}),
            _limit(50, 500),
            _CURSOR,
            Parameter("total", "`1` adds `total` and `total_exact`.", word("0", "1")),
        ),
        errors=("api_expired", "cursor_expired"),
    ),
    changes: Operation(
        CALLS,
        reference("ChangeList"),
        {
            "changes": [
                {"op": "upsert", "call": _CALL},
                {"op": "delete", "id": "c1-16", "deleted_at": "2026-02-24T12:50:01.004Z"},
            ],
            "next_cursor": "AAAA",
            "has_more": False,
        },
        (_limit(100, 1_000), Parameter("cursor", "The `next_cursor` of the answer before.", text())),
        errors=("api_expired", "cursor_expired"),
    ),
    one_call: Operation(CALLS, reference("Call"), _CALL, errors=("api_expired", "not_found")),
    end_call: Operation(CALLS, None, errors=("api_expired", "forbidden", "not_found"), status=204),
    events: Operation(
        WEBHOOKS,
        text("Server-sent events: `event` is a type, `data` the body that webhooks get, `id` where to go on."),
        "retry: 3000\nid: AAAA\n\n",
        errors=("api_expired", "cursor_expired", "rate_limited"),
        media_type="text/event-stream",
    ),
    webhooks: Operation(WEBHOOKS, reference("WebhookList"), {"webhooks": [_WEBHOOK], "next_cursor": None}),
    make_webhook: Operation(
        WEBHOOKS,
        reference("NewWebhook"),
        {**_WEBHOOK, "secret": _WHSEC},
        body=record({"secret": _NEW_SECRET}, url=_URL, events=_EVENTS),
        body_example={"url": _WEBHOOK["url"], "events": ["call.missed"]},
        errors=("forbidden", "conflict"),
        status=201,
    ),
    one_webhook: Operation(WEBHOOKS, reference("Webhook"), _WEBHOOK, errors=("not_found",)),
    patch_webhook: Operation(
        WEBHOOKS,
        reference("Webhook"),
        _WEBHOOK,
        body=record({"url": _URL, "events": _EVENTS, "status": word("active", "paused")}),
        body_example={"status": "paused"},
        errors=("forbidden", "not_found"),
    ),
    end_webhook: Operation(WEBHOOKS, None, errors=("forbidden", "not_found"), status=204),
    rotate_webhook: Operation(
        WEBHOOKS,
        record(secret=text()),
        {"secret": _WHSEC},
        body=record(
            {
                "secret": _NEW_SECRET,
                "overlap_seconds": whole(minimum=0, maximum=LONGEST_OVERLAP_S, default=OVERLAP_S),
            }
        ),
        body_example={"overlap_seconds": 3_600},
        errors=("forbidden", "not_found", "conflict"),
    ),
    send_test: Operation(
        WEBHOOKS,
        record(delivery_id=text()),
        {"delivery_id": "y1-1"},
        errors=("forbidden", "not_found", "conflict"),
        status=202,
    ),
    replay_events: Operation(
        WEBHOOKS,
        record(queued=whole(), has_more={"type": "boolean"}, next_from_change=nullable(whole())),
        {"queued": 3, "has_more": False, "next_from_change": None},
        body={
            "anyOf": [
                record(**{"from": moment(), "to": moment("Included.")}),
                record(from_change=_CHANGE, to_change=_CHANGE),
            ]
        },
        body_example={"from": "2026-02-24T00:00:00Z", "to": "2026-02-25T00:00:00Z"},
        errors=("forbidden", "not_found", "conflict"),
        status=202,
    ),
    deliveries: Operation(
        WEBHOOKS,
        reference("DeliveryList"),
        {"deliveries": [_DELIVERY], "next_cursor": None},
        (_limit(50, 200), _CURSOR),
        errors=("not_found", "cursor_expired"),
    ),
    one_delivery: Operation(WEBHOOKS, reference("Delivery"), _DELIVERY, errors=("not_found",)),
    resend_delivery: Operation(
        WEBHOOKS,
        reference("Delivery"),
        {**_DELIVERY, "status": "pending", "next_attempt_at": "2026-02-24T13:00:00.000Z"},
        errors=("forbidden", "not_found", "conflict"),
        status=202,
    ),
    devices: Operation(
        DEVICES,
        reference("DeviceList"),
        {"devices": [_DEVICE], "next_cursor": None, "synced_through": "2026-02-24T12:50:00.000Z"},
    ),
    one_device: Operation(DEVICES, reference("Device"), _DEVICE, errors=("not_found",)),
    change_device: Operation(
        DEVICES,
        reference("Device"),
        _DEVICE,
        body=record(name=text("The new name.", maxLength=LONGEST_TEXT, pattern=NAME)),
        body_example={"name": "Anna's phone"},
        errors=("forbidden", "not_found", "conflict"),
    ),
    end_device: Operation(DEVICES, None, errors=("forbidden", "not_found"), status=204),
    end_gap: Operation(DEVICES, reference("Device"), _DEVICE, errors=("forbidden", "not_found")),
    pair_device: Operation(
        PHONES,
        record(device_id=text(), name=text(), token=text("The device's token."), server_time_ms=whole()),
        {"device_id": "d1-1", "name": "Anna's phone", "token": "rbd_1_TOKEN", "server_time_ms": 1_761_231_000_000},
        body=record(
            {"platform": nullable(short()), "agent_version": nullable(short())},
            code=text("The pairing code.", pattern="^[2-9A-HJKMNP-Z]{8}$"),
        ),
        body_example={"code": "ABCD2345", "platform": "android", "agent_version": "1.0"},
        errors=("forbidden", "invalid_code", "rate_limited"),
    ),
    sync_calls: Operation(
        PHONES,
        reference("SyncAnswer"),
        {
            "results": [{"status": "created", "id": "c1-17"}],
            "created": 1,
            "updated": 0,
            "duplicate": 0,
            "withheld": 0,
            "rejected": 0,
            "synced_through_ms": None,
        },
        body=record(calls=some(reference("CallReport"), maxItems=MOST_REPORTS)),
        body_example={"calls": [_REPORT]},
    ),
    sync_rejected: Operation(
        PHONES,
        reference("RejectedList"),
        {
            "rejected": [
                {
                    "id": "r1-1",
                    "device_id": "d1-1",
                    "received_at": "2026-02-24T12:50:01.004Z",
                    "error": "number is missing; it must be null or text of at most 100 characters.",
                    "report": {"type": "missed"},
                    "place": None,
                }
            ],
            "next_cursor": None,
        },
        (_limit(100, 500), _CURSOR),
        errors=("cursor_expired",),
    ),
    sync_heartbeat: Operation(
        PHONES,
        record(server_time_ms=whole(), rules=reference("Rules")),
        {"server_time_ms": 1_761_231_000_000, "rules": {"never": [], "sims": None, "hours": None}},
        body=record(
            {
                "agent_version": nullable(short()),
                "time_zone": nullable(short()),
                "battery": nullable(whole("Per cent.", minimum=0, maximum=100)),
                "charging": {"type": ["boolean", "null"]},
            },
            outbox=whole("How many calls wait on the phone.", minimum=0, maximum=MOST_INT),
            permission=word(*PERMISSIONS),
        ),
        body_example={
            "agent_version": "1.0",
            "time_zone": "Europe/Paris",
            "outbox": 0,
            "battery": 80,
            "charging": False,
            "permission": "ok",
        },
    ),
    sync_manifest: Operation(
        PHONES,
        record(
            missing=some(whole(minimum=0), description="The places of rows that are not here."),
            synced_through_ms=nullable(whole()),
        ),
        {"missing": [], "synced_through_ms": 1_761_231_000_000},
        body=record(
            read=record(
                at_ms=_since_1970("The moment before the log was read."),
                logs=some(record({"sim_id": nullable(short())}, rows=whole(minimum=0), from_ms=_since_1970())),
            ),
            sent_at_ms=_since_1970("The moment of sending."),
            rows=some(
                {
                    "type": "array",
                    "prefixItems": [
                        word(*CLASSES),
                        some(whole(minimum=0, maximum=MOST_SECOND), minItems=1, maxItems=2),
                        text(pattern="^[0-9a-f]{16}$"),
                        whole(minimum=0, maximum=MOST_INT),
                    ],
                    "minItems": 4,
                    "maxItems": 4,
                },
                maxItems=MOST_ROWS,
                description="Each is its class, the second or two that it may be, the digest of its number's key, its"
                " occurrence.",
            ),
        ),
        body_example={
            "read": {
                "at_ms": 1_761_231_000_000,
                "logs": [{"sim_id": "1", "rows": 1, "from_ms": 1_761_230_000_999}],
            },
            "sent_at_ms": 1_761_231_001_000,
            "rows": [["in", [1_761_230_000], "0123456789abcdef", 0]],
        },
    ),
    healthz: Operation(SERVER, record(status=text()), {"status": "alive"}),
    readyz: Operation(SERVER, record(status=text()), {"status": "ready"}),
    metrics: Operation(SERVER, text(), media_type="text/plain"),
    agent_program: Operation(
        SERVER, {"type": "string", "contentMediaType": "application/zip"}, media_type="application/zip"
    ),
}
