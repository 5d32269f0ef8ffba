"""`/calls`: the list with its filters, and one call; `/numbers/{id}`: all calls with a number."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Final

from litestar import Response
from litestar.datastructures import State
from litestar.response import Stream

from ringback.accounts import Account, check_not_expired
from ringback.calls.export import FORMATS, export_calls
from ringback.calls.filters import Filters, ListedCall, filtered_page, filtered_query, find_call, read_filters
from ringback.calls.numbers import Number, find_number, names_of_key
from ringback.calls.parameters import integer
from ringback.db import Connection, Database
from ringback.devices import list_devices
from ringback.errors import ApiExpired, InvalidParameter, NotFound
from ringback.times import local_text, now_ms, zone
from ringback.web.pages.frame import HEADERS, PageRequest, page, render
from ringback.web.pages.language import N_
from ringback.web.query import Query

Page = Response[Any]

ROWS: Final = 50

KIND_NAMES: Final = {
    "missed": N_("Missed"),
    "incoming": N_("Answered"),
    "outgoing": N_("Outgoing"),
    "voicemail": N_("Voicemail"),
    "rejected": N_("Rejected"),
    "blocked": N_("Blocked"),
    "answered_elsewhere": N_("Answered elsewhere"),
    "unknown": N_("Unknown kind"),
}
"""Each kind of call in words."""

PARAMETERS: Final = (
    "q", "number", "kind", "device", "from", "to", "min_duration", "max_duration", "sim", "weekday", "hour", "open",
    "sort",
)  # fmt: skip
"""What the list's address may hold besides the page."""


def is_expired(account: Account) -> bool:
    """Whether the account's plan has ended, so that a notice stands in place of its calls."""
    try:
        check_not_expired(account)
    except ApiExpired:
        return True
    return False


@page("/calls")
async def calls_page(request: PageRequest, state: State) -> Page:
    """The list of calls."""
    account: Account = request.state.account
    if is_expired(account):
        return render(request, "expired.html")
    return await _list(request, state, "calls.html", Filters(), {})


@page("/numbers/{number_id:str}")
async def number_page(request: PageRequest, state: State, number_id: str) -> Page:
    """All calls with a number, on every phone."""
    account: Account = request.state.account
    if is_expired(account):
        return render(request, "expired.html")
    number: Number | None = await state.database.read_long(lambda c: find_number(c, account, number_id))
    if number is None:
        raise NotFound("There is no such number.")
    return await _list(request, state, "number.html", Filters(key_hash=number.key_hash), {"caller": number})


async def _list(request: PageRequest, state: State, template: str, fixed: Filters, context: dict[str, Any]) -> Page:
    """A page of calls under the address's filters; what can't be read of them is said above the form."""
    database: Database = state.database
    account: Account = request.state.account
    query = Query(request.scope)
    wrong, number = "", 1
    filters = Filters()
    try:
        filters = read_filters(query, account)
        number = integer(query, "page", 1, 1, 10_000_000)
    except InvalidParameter as error:
        wrong = error.detail.split(" ", 1)[0]
    if fixed.key_hash is not None:
        filters = _with_key(filters, fixed.key_hash)
    format = _given(query, "format")
    if format in FORMATS and not wrong:
        return await _export(database, account, filters, format)
    found = await filtered_page(database, account, filters, ROWS, (number - 1) * ROWS)
    devices = {device.number: device for device in await database.read(lambda c: list_devices(c, account.id))}
    given = {name: value for name in PARAMETERS if (value := _given(query, name))}
    return render(
        request, template, status=HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK, found=found,
        given=defaultdict(str, given), number=number, rows=ROWS, devices=devices, kinds=KIND_NAMES, wrong=wrong,
        has_more=bool(given.keys() - {"q", "kind", "device"}), is_empty=not given and found.total == 0, **context,
    )  # fmt: skip


async def _export(database: Database, account: Account, filters: Filters, format: str) -> Stream:
    """All calls of the list as a file."""
    calls = await filtered_query(database, account, filters)
    pieces = export_calls(database, calls, format, newest_first=not filters.oldest_first)
    day = local_text(now_ms(), zone(account.time_zone))[:10]
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="calls-{day}.{format}"'}
    return Stream(pieces, media_type=FORMATS[format], headers=headers)


def _with_key(filters: Filters, key_hash: int) -> Filters:
    return Filters(**{**{name: getattr(filters, name) for name in filters.__struct_fields__}, "key_hash": key_hash})


def _given(query: Query, name: str) -> str | None:
    try:
        return query.get(name)
    except InvalidParameter:
        return None


@page("/calls/{call_id:str}")
async def call_page(request: PageRequest, state: State, call_id: str) -> Page:
    """One call with all that is known of it."""
    account: Account = request.state.account
    if is_expired(account):
        return render(request, "expired.html")

    async def find(connection: Connection) -> tuple[ListedCall | None, list[str], dict[int, Any]]:
        call = await find_call(connection, account.id, call_id)
        names = await names_of_key(connection, account.id, call.key_hash) if call and call.number else []
        return call, names, {device.number: device for device in await list_devices(connection, account.id)}

    call, names, devices = await state.database.read_long(find)
    if call is None:
        raise NotFound("There is no such call.")
    return render(request, "call.html", call=call, names=names, devices=devices, kinds=KIND_NAMES)
