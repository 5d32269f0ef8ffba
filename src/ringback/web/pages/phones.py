"""`/phones`: how each phone does, its gaps, and pairing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import segno
from litestar import Response
from litestar.datastructures import State

from ringback.accounts import Account
from ringback.db import Connection
from ringback.devices import Device, device_by_id, list_devices, rename_device, revoke_device
from ringback.errors import Conflict, InvalidParameter
from ringback.links import install_command, pairing_link, public_url
from ringback.pairing import Code, create_code
from ringback.proof import close_gap, list_gaps
from ringback.times import now_ms
from ringback.web.pages.access import NAME_BAD
from ringback.web.pages.frame import FormError, PageRequest, form, page, read_form, render, see_other
from ringback.web.pages.language import N_

Page = Response[Any]

STATUS_NAMES: Final = {
    "online": N_("Online"),
    "late": N_("Late"),
    "silent": N_("Silent"),
    "never": N_("Never seen"),
    "imported": N_("Imported"),
    "revoked": N_("Revoked"),
}
OUT_OF_REACH: Final = N_(
    "Phones can't reach this server: it listens on this machine alone. Whoever runs it sets RINGBACK_PUBLIC_URL to its"
    " address, or starts it with --host 0.0.0.0."
)
TAKEN: Final = N_("There is a phone of that name already.")


def status_of(device: Device) -> str:
    """How a phone does, as a word; `imported` where its calls came from files alone."""
    status = device.status(now_ms())
    return "imported" if status == "never" and not device.has_token else status


@page("/phones")
async def phones_page(request: PageRequest, state: State) -> Page:
    """A card for each phone."""
    return await _show(request, state)


async def _show(request: PageRequest, state: State, error: FormError | None = None, renamed: str = "") -> Page:
    """`renamed` is the id of the phone whose new name can't be taken."""
    account: Account = request.state.account

    async def find(connection: Connection) -> tuple[list[Device], dict[int, list[dict[str, Any]]]]:
        return await list_devices(connection, account.id), await list_gaps(connection, account.id)

    devices, gaps = await state.database.read(find)
    cards = [(device, status_of(device), gaps.get(device.number, [])) for device in devices]
    cards.sort(key=lambda card: card[1] == "revoked")
    return render(
        request, "phones.html", status=error.status if error else HTTPStatus.OK, error=error, renamed=renamed,
        cards=cards, statuses=STATUS_NAMES, arrived=request.query_params.get("arrived", ""),
    )  # fmt: skip


@form("/phones", "manager")
async def pair_phone(request: PageRequest, state: State) -> Page:
    """Show a code with which a phone pairs, once; the page changes by itself when the phone arrives."""
    account: Account = request.state.account
    fields = await read_form(request)
    name = fields.get("name", "")

    async def make(connection: Connection) -> tuple[str, Code]:
        return await public_url(connection), await create_code(
            connection, account.id, name, new_device=fields.get("new") == "1"
        )

    try:
        url, code = await state.database.write(make)
    except Conflict:
        return await _show(request, state, FormError(OUT_OF_REACH, status=HTTPStatus.CONFLICT))
    except InvalidParameter:
        return await _show(request, state, FormError(NAME_BAD, "name"))
    link = pairing_link(url, code.code)
    return render(
        request, "pairing.html", name=name, code=code, link=link, command=install_command(url, code.code),
        picture=segno.make(link, micro=False).svg_data_uri(scale=5, border=3, light="#fff"), since=now_ms(),
    )  # fmt: skip


@page("/phones/arrived")
async def phone_arrived(request: PageRequest, state: State) -> Page:
    """Whether the phone of a name has made contact since; then htmx goes on to its card."""
    account: Account = request.state.account
    name, since = request.query_params.get("name", ""), request.query_params.get("since", "")
    devices = await state.database.read(lambda c: list_devices(c, account.id))
    for device in devices:
        if device.name == name and since.isdecimal() and (device.last_seen_ms or 0) >= int(since):
            return Response("", status_code=HTTPStatus.OK, headers={"HX-Redirect": f"/phones?arrived={device.id}"})
    return Response("", status_code=HTTPStatus.NO_CONTENT)


@form("/phones/{phone_id:str}/rename", "manager")
async def rename_phone(request: PageRequest, state: State, phone_id: str) -> Page:
    """Give a phone another name."""
    account: Account = request.state.account
    name = (await read_form(request)).get("name", "")

    async def rename(connection: Connection) -> None:
        device = await device_by_id(connection, account.id, phone_id)
        await rename_device(connection, account.id, device.name, name)

    try:
        await state.database.write(rename, account.id)
    except Conflict:
        return await _show(request, state, FormError(TAKEN, "rename", HTTPStatus.CONFLICT), phone_id)
    except InvalidParameter:
        return await _show(request, state, FormError(NAME_BAD, "rename"), phone_id)
    return see_other(request, "/phones")


@form("/phones/{phone_id:str}/revoke", "manager")
async def revoke_phone(request: PageRequest, state: State, phone_id: str) -> Page:
    """End a phone's token for ever; its calls stay."""
    account: Account = request.state.account

    async def revoke(connection: Connection) -> None:
        device = await device_by_id(connection, account.id, phone_id)
        await revoke_device(connection, account.id, device.name)

    await state.database.write(revoke, account.id)
    return see_other(request, "/phones")


@form("/phones/{phone_id:str}/gaps/{gap_id:str}/close", "manager")
async def close_phone_gap(request: PageRequest, state: State, phone_id: str, gap_id: str) -> Page:
    """Note that a gap is dealt with."""
    account: Account = request.state.account

    async def close(connection: Connection) -> None:
        device = await device_by_id(connection, account.id, phone_id)
        await close_gap(connection, account.id, gap_id, device.number)

    await state.database.write(close, account.id)
    return see_other(request, "/phones")
