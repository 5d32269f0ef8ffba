"""`/webhooks`: endpoints that hear of events, and what became of each event."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from litestar import Response
from litestar.datastructures import State

from ringback.accounts import Account
from ringback.addresses import check_url
from ringback.calls.filters import MOST_NUMBER
from ringback.db import Connection
from ringback.errors import Conflict, InvalidParameter
from ringback.events import TYPES
from ringback.times import day_after, now_ms, parse_day, since_day, zone
from ringback.web.pages.frame import FormError, PageRequest, form, page, read_form, render, see_other
from ringback.web.pages.language import N_
from ringback.webhooks import (
    OVERLAP_S,
    Webhook,
    change_webhook,
    check_events,
    check_secret,
    create_webhook,
    delete_webhook,
    list_deliveries,
    list_webhooks,
    replay_all,
    resend,
    rotate_secret,
    test_webhook,
    webhook_by_id,
)

Page = Response[Any]

SHOWN: Final = 100
"""Deliveries of a webhook."""

STATUS_NAMES: Final = {"active": N_("Active"), "paused": N_("Paused"), "disabled": N_("Ended by the receiver")}
DELIVERY_NAMES: Final = {
    "pending": N_("Waiting"),
    "held": N_("Held"),
    "delivered": N_("Delivered"),
    "failed": N_("Failed"),
    "cancelled": N_("Cancelled"),
}
EVENT_NAMES: Final = {
    "call.missed": N_("A missed call"),
    "call.incoming": N_("An answered call"),
    "call.outgoing": N_("An outgoing call"),
    "call.updated": N_("A call has changed"),
    "call.deleted": N_("A call was deleted"),
    "device.silent": N_("A phone has fallen silent"),
    "device.back": N_("A phone is back"),
    "webhook.test": N_("A test"),
}
URL_BAD: Final = N_(
    "Nothing can be sent there: the address must begin with https:// and be public. Whoever runs the server may allow a"
    " network of its own."
)
EVENTS_BAD: Final = N_("Choose at least one event.")
NOT_NOW: Final = N_("This can't be done now: two secrets are valid, there are too many webhooks, or it has ended.")
DAYS_BAD: Final = N_("Choose a first and a last day.")


@page("/webhooks", "manager")
async def webhooks_page(request: PageRequest, state: State) -> Page:
    """All webhooks, and a form for a new one."""
    return await _show_all(request, state)


async def _show_all(
    request: PageRequest, state: State, error: FormError | None = None, fields: dict[str, str] | None = None
) -> Page:
    account: Account = request.state.account
    found = await state.database.read(lambda c: list_webhooks(c, account.id))
    return render(
        request, "webhooks.html", status=error.status if error else HTTPStatus.OK, error=error, webhooks=found,
        statuses=STATUS_NAMES, events=EVENT_NAMES, types=TYPES, form=fields,
        chosen=[type for type in TYPES if (fields or {}).get(type)] if fields else ["call.missed"],
    )  # fmt: skip


@page("/webhooks/{webhook_id:str}", "manager")
async def webhook_page(request: PageRequest, state: State, webhook_id: str) -> Page:
    """One webhook and its deliveries."""
    return await _show(request, state, webhook_id)


async def _show(
    request: PageRequest, state: State, id: str, *, error: FormError | None = None, secret: str = "", queued: int = -1
) -> Page:
    """`secret` is one that was just made, and is shown this once; `queued` is how many events are sent again."""
    account: Account = request.state.account

    async def find(connection: Connection) -> tuple[Webhook, list[dict[str, Any]]]:
        webhook = await webhook_by_id(connection, account.id, id)
        return webhook, await list_deliveries(connection, account.id, id, MOST_NUMBER, SHOWN)

    webhook, deliveries = await state.database.read(find)
    return render(
        request, "webhook.html", status=error.status if error else HTTPStatus.OK, error=error, webhook=webhook,
        deliveries=deliveries, statuses=STATUS_NAMES, names=DELIVERY_NAMES, events=EVENT_NAMES, types=TYPES,
        secret=secret, queued=queued, shown=SHOWN, is_held=webhook.hold_ms > now_ms(),
    )  # fmt: skip


async def _read_url_and_events(state: State, fields: dict[str, str]) -> tuple[str, str]:
    """What a form says. Raises FormError."""
    try:
        types = check_events(type for type in TYPES if fields.get(type))
    except InvalidParameter:
        raise FormError(EVENTS_BAD, "events") from None
    try:
        return await check_url(fields.get("url", ""), state.settings.webhook_networks), types
    except InvalidParameter:
        raise FormError(URL_BAD, "url") from None


@form("/webhooks", "manager")
async def add_webhook(request: PageRequest, state: State) -> Page:
    """Make a webhook and show its secret, once."""
    account: Account = request.state.account
    fields, secret = await read_form(request), check_secret(None)
    try:
        url, types = await _read_url_and_events(state, fields)
        made = await state.database.write(lambda c: create_webhook(c, account.id, url, types, secret), account.id)
    except FormError as error:
        return await _show_all(request, state, error, fields)
    except Conflict:
        return await _show_all(request, state, FormError(NOT_NOW, status=HTTPStatus.CONFLICT), fields)
    return await _show(request, state, made.id, secret=secret)


@form("/webhooks/{webhook_id:str}/change", "manager")
async def change_one_webhook(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Give a webhook another address or other events."""
    account: Account = request.state.account
    try:
        url, types = await _read_url_and_events(state, await read_form(request))
    except FormError as error:
        return await _show(request, state, webhook_id, error=error)
    await state.database.write(lambda c: change_webhook(c, account.id, webhook_id, url=url, types=types), account.id)
    return see_other(request, f"/webhooks/{webhook_id}")


@form("/webhooks/{webhook_id:str}/pause", "manager")
async def pause_webhook(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Hold a webhook's deliveries."""
    return await _set_status(request, state, webhook_id, "paused")


@form("/webhooks/{webhook_id:str}/resume", "manager")
async def resume_webhook(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Send what was held, and what comes."""
    return await _set_status(request, state, webhook_id, "active")


async def _set_status(request: PageRequest, state: State, id: str, status: str) -> Page:
    account: Account = request.state.account
    await state.database.write(lambda c: change_webhook(c, account.id, id, status=status), account.id)
    return see_other(request, f"/webhooks/{id}")


@form("/webhooks/{webhook_id:str}/delete", "manager")
async def remove_webhook(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Delete a webhook with its deliveries."""
    account: Account = request.state.account
    await state.database.write(lambda c: delete_webhook(c, account.id, webhook_id), account.id)
    return see_other(request, "/webhooks")


@form("/webhooks/{webhook_id:str}/secret", "manager")
async def new_secret(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Make a new secret and show it, once; the old one is valid for another day."""
    account: Account = request.state.account
    secret = check_secret(None)
    try:
        await state.database.write(lambda c: rotate_secret(c, account.id, webhook_id, secret, OVERLAP_S), account.id)
    except Conflict:
        return await _show(request, state, webhook_id, error=FormError(NOT_NOW, status=HTTPStatus.CONFLICT))
    return await _show(request, state, webhook_id, secret=secret)


@form("/webhooks/{webhook_id:str}/test", "manager")
async def try_webhook(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Send an event of its own."""
    account: Account = request.state.account
    try:
        await state.database.write(lambda c: test_webhook(c, account.id, webhook_id), account.id)
    except Conflict:
        return await _show(request, state, webhook_id, error=FormError(NOT_NOW, status=HTTPStatus.CONFLICT))
    return see_other(request, f"/webhooks/{webhook_id}")


@form("/webhooks/{webhook_id:str}/replay", "manager")
async def replay_days(request: PageRequest, state: State, webhook_id: str) -> Page:
    """Send the events of some days of the account again."""
    account: Account = request.state.account
    fields = await read_form(request)
    first, last = parse_day(fields.get("first", "")), parse_day(fields.get("last", ""))
    if first is None or last is None or first > last:
        return await _show(request, state, webhook_id, error=FormError(DAYS_BAD, "first"))
    local = zone(account.time_zone)
    begin, end = since_day(first, local)[0][0], since_day(day_after(last), local)[0][0] - 1
    try:
        queued = await replay_all(state.database, account.id, webhook_id, "created_ms", begin, end)
    except Conflict:
        return await _show(request, state, webhook_id, error=FormError(NOT_NOW, status=HTTPStatus.CONFLICT))
    return await _show(request, state, webhook_id, queued=queued)


@form("/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/resend", "manager")
async def send_again(request: PageRequest, state: State, webhook_id: str, delivery_id: str) -> Page:
    """Send an event again, with a fresh plan of attempts."""
    account: Account = request.state.account
    try:
        await state.database.write(lambda c: resend(c, account.id, delivery_id), account.id)
    except Conflict:
        return await _show(request, state, webhook_id, error=FormError(NOT_NOW, status=HTTPStatus.CONFLICT))
    return see_other(request, f"/webhooks/{webhook_id}")
