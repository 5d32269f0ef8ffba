"""What stands in bodies and answers, as JSON Schema (draft 2020-12, which OpenAPI 3.1 takes)."""

from __future__ import annotations

from typing import Any, Final

from ringback.calls.contract import KINDS, LONGEST_TEXT, PRESENTATIONS, report_schema
from ringback.calls.parameters import LONGEST_SEARCH
from ringback.calls.query import ORDERS
from ringback.calls.store import STATUSES
from ringback.devices import STATUSES as DEVICE_STATUSES
from ringback.events import TEST
from ringback.events import TYPES as EVENT_TYPES
from ringback.webhooks import DELIVERY_STATUSES
from ringback.webhooks import STATUSES as WEBHOOK_STATUSES

Schema = dict[str, Any]


def text(description: str = "", **more: Any) -> Schema:
    """A text."""
    return {"type": "string", **({"description": description} if description else {}), **more}


def whole(description: str = "", **more: Any) -> Schema:
    """A whole number."""
    return {"type": "integer", **({"description": description} if description else {}), **more}


def words(*words: str) -> Schema:
    """Some of some words, by commas. No list: many generated clients would repeat the parameter instead."""
    one = f"({'|'.join(words)})"
    return text(pattern=f"^{one}(,{one})*$")


def searched(description: str = "") -> Schema:
    """What is searched for."""
    return text(description, maxLength=LONGEST_SEARCH, pattern=NO_NULL)


def short(description: str = "") -> Schema:
    """A short text."""
    return text(description, maxLength=LONGEST_TEXT, pattern=NO_NULL)


def moment(description: str = "") -> Schema:
    """A moment as RFC 3339 writes it, in UTC."""
    return text(description, format="date-time")


def word(*words: str, description: str = "") -> Schema:
    """One of some words."""
    return text(description, enum=list(words))


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    words = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **words}


def record(optional: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """An object that always has all of the fields, and perhaps the optional ones."""
    return {"type": "object", "required": list(fields), "properties": {**fields, **(optional or {})}}


def some(item: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": item, **more}


def reference(name: str) -> Schema:
    """One of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


NO_NULL: Final = "^[^\\u0000]*$"
NAME: Final = (
    "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$"
)
"""Some text without control characters, not white space alone."""
DATE: Final = "`YYYY-MM-DD HH:MM:SS`"
NEXT_CURSOR: Final = nullable(text("What to send as `cursor` for the next page; null at the end."))
SYNCED_THROUGH: Final = nullable(
    moment("Up to when all phones of the account are known to be complete; null while one of them is not.")
)
DETAIL: Final = text("One sentence; of `server_error` the request id that the server's log has.")
BOOLEAN: Final[Schema] = {"type": "boolean"}
TRUE: Final[Schema] = {"type": "boolean", "const": True}

WEBHOOK: Final = {
    "id": text(),
    "url": text("Where events are sent to."),
    "events": some(word(*EVENT_TYPES)),
    "status": word(*WEBHOOK_STATUSES, description="`disabled`: its receiver answered 410."),
    "created_at": moment(),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "ChangeList": record(
        changes=some(
            {
                "oneOf": [
                    record(op=word("upsert"), call=reference("Call")),
                    record(op=word("delete"), id=text("The call's id."), deleted_at=moment()),
                ]
            }
        ),
        next_cursor=text("What to send as `cursor` next time, at the end too."),
        has_more=BOOLEAN,
    ),
    "Webhook": record(**WEBHOOK),
    "NewWebhook": record(**WEBHOOK, secret=text("What events are signed with; it can't be shown again.")),
    "WebhookList": record(webhooks=some(reference("Webhook")), next_cursor=NEXT_CURSOR),
    "Delivery": record(
        id=text(),
        webhook_id=text(),
        event_id=text(format="uuid"),
        type=word(*EVENT_TYPES, TEST),
        status=word(
            *DELIVERY_STATUSES, description="`held`: it waits, since its endpoint is paused or the account has expired."
        ),
        change=whole("The event's change number, which a replay goes by."),
        created_at=moment(),
        next_attempt_at=nullable(moment()),
        attempts=some(
            record(
                number=whole(),
                at=moment(),
                duration_ms=whole(),
                status=nullable(whole("Of HTTP; null where there was no answer.")),
                error=nullable(text("Why it failed.")),
                answer=nullable(text("The beginning of the answer's body.")),
            )
        ),
    ),
    "DeliveryList": record(deliveries=some(reference("Delivery")), next_cursor=NEXT_CURSOR),
    "MissedPage": record(
        success=TRUE,
        offset=whole("The first row that was applied."),
        limit=whole("The rows a page that were applied."),
        count=whole("How many rows this page has."),
        data=some(
            record(
                number=text('As the phone wrote it; "" for a caller who hides.'),
                name=text('"" where no name is known.'),
                date=text(f"When it began, in the account's time zone: {DATE}."),
            )
        ),
    ),
    "CallPage": record(
        success=TRUE,
        apikey=nullable(text("The key as it was sent in the address; null where it came in a header.")),
        limit=whole("The rows a page that were applied."),
        offset=whole("The first row that was applied."),
        sort_by=word(*ORDERS),
        sort_dir=word("asc", "desc"),
        filters={
            **record(date_from_ms=nullable(text()), date_to_ms=nullable(text()), q=nullable(text())),
            "description": "The filters as they were sent; null where they were not.",
        },
        count=whole("How many rows this page has."),
        rows=some(
            record(
                phone_number=text('As the phone wrote it; "" for a caller who hides.'),
                cached_name=nullable(text("The contact's name.")),
                call_date_ms=whole("When it began: milliseconds since 1970."),
                call_datetime_utc=text(f"The same, in UTC: {DATE}."),
                duration_sec=whole(),
                geo_location=nullable(text("The number's place.")),
                created_at=text(f"When it arrived, in UTC: {DATE}."),
            )
        ),
    ),
    "PhoneList": record(
        success=TRUE,
        connected_now=whole("How many phones count, before filters."),
        connected_limit=nullable(whole()),
        connected_available=nullable(whole()),
        filters=record(sid=nullable(text()), search=nullable(text())),
        items=some(
            record(
                sid=text("The device's id."),
                label=text("Its name."),
                status=word(*DEVICE_STATUSES),
                online=BOOLEAN,
                battery=nullable(whole("Per cent.")),
                version=nullable(text("The agent's version.")),
                last_seen=text(f"UTC: {DATE}."),
                synced_through=nullable(text(f"Up to when it is known to be complete, in UTC: {DATE}.")),
            )
        ),
        note=text(),
    ),
    "Call": record(
        id=text(),
        device_id=text(),
        kind=word(*KINDS),
        number=text('As the phone wrote it; "" for a caller who hides.'),
        number_e164=nullable(text("The number as E.164 writes it, where it is a valid one.")),
        name=nullable(text("The contact's name.")),
        geo_location=nullable(text("The number's place.")),
        started_at=moment(),
        started_at_ms=whole("The same in milliseconds since 1970."),
        precision=word("ms", "s", description="`s` where only the second is known."),
        duration_sec=whole(),
        presentation=nullable(word(*PRESENTATIONS)),
        country_iso=nullable(text()),
        sim_id=nullable(text()),
        type_raw=nullable(text("The type as the phone wrote it.")),
        source=nullable(text("Where it comes from, the nearest to the phone's own log.")),
        created_at=moment("When it arrived."),
        updated_at=moment("When it last changed."),
        change=whole("The number of its last change; of two states of a call the greater is the newer."),
    ),
    "CallList": record(
        {
            "total": whole("With `total=1`: how many calls there are in all, counted to 10,000."),
            "total_exact": {"type": "boolean", "description": "Whether `total` is all of them."},
        },
        calls=some(reference("Call")),
        next_cursor=NEXT_CURSOR,
        synced_through=SYNCED_THROUGH,
    ),
    "Device": record(
        id=text(),
        name=text(),
        status=word(*DEVICE_STATUSES),
        platform=nullable(text()),
        agent_version=nullable(text()),
        time_zone=nullable(text()),
        battery=nullable(whole("Per cent.")),
        charging=nullable(BOOLEAN),
        permission=nullable(text("Whether the agent may read the call log: `ok`, `denied` or `unknown`.")),
        outbox=nullable(whole("How many calls wait on the phone.")),
        last_seen=nullable(moment()),
        synced_through=nullable(moment("Up to when it is known to be complete.")),
        gaps=some(
            record(
                **{
                    "id": text(),
                    "from": moment(),
                    "to": moment(),
                    "closed_at": nullable(moment("When a person closed it.")),
                }
            ),
            description="Stretches that nobody can vouch for.",
        ),
    ),
    "DeviceList": record(devices=some(reference("Device")), next_cursor=NEXT_CURSOR, synced_through=SYNCED_THROUGH),
    "CallReport": report_schema(),
    "SyncAnswer": record(
        results=some(
            record(
                {"error": text("Why it was rejected.")},
                status=word(*STATUSES, description="What became of the report at this place."),
                id=nullable(text("The call's id; null for `withheld` and `rejected`.")),
            )
        ),
        **{status: whole(minimum=0) for status in STATUSES},
        synced_through_ms=nullable(whole("Up to when this phone is known to be complete.")),
    ),
    "RejectedList": record(
        rejected=some(
            record(
                id=text(),
                device_id=text(),
                received_at=moment(),
                error=text("Why it was rejected."),
                report={"description": "The JSON that was sent."},
                place=nullable(whole("The row of the file that it stood in; null where a phone sent it.")),
            )
        ),
        next_cursor=NEXT_CURSOR,
    ),
    "Rules": record(
        never=some(text(), description="Numbers, or beginnings that end in `*`, whose calls stay on the phone."),
        sims={"type": ["array", "null"], "items": text(), "description": "The SIM cards whose calls are sent."},
        hours={
            **record(days=some(whole(minimum=1, maximum=7)), **{"from": text(), "to": text()}),
            "type": ["object", "null"],
            "description": "When calls are sent, in the phone's time.",
        },
    ),
    "Error": record({"detail": DETAIL}, success={"type": "boolean", "const": False}, error=text("A code.")),
    "Problem": record(
        type=text(),
        title=text(),
        status=whole(),
        code=text(),
        detail=DETAIL,
    ),
}
