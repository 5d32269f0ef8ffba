"""`/v1/devices`: the account's phones."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, Request, Response, delete, patch, route
from litestar.datastructures import State

from ringback.db import Connection, Database
from ringback.devices import Device, device_by_id, list_devices, rename_device, revoke_device
from ringback.errors import InvalidParameter
from ringback.web.answers import NO_STORE, json_answer
from ringback.web.auth import KEY
from ringback.web.body import read_object

READ = [HttpMethod.GET, HttpMethod.HEAD]


@route("/v1/devices", http_method=READ, opt=KEY)
async def devices(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """All devices, revoked ones too."""
    database: Database = state.database
    found = await database.read(lambda c: list_devices(c, request.state.account.id))
    return json_answer({"devices": [device.to_dict() for device in found], "next_cursor": None, "synced_through": None})


@route("/v1/devices/{device_id:str}", http_method=READ, opt=KEY)
async def one_device(request: Request[Any, Any, Any], state: State, device_id: str) -> Response[bytes]:
    """One device."""
    database: Database = state.database
    device = await database.read(lambda c: device_by_id(c, request.state.account.id, device_id))
    return json_answer(device.to_dict())


@patch("/v1/devices/{device_id:str}", opt=KEY)
async def change_device(request: Request[Any, Any, Any], state: State, device_id: str) -> Response[bytes]:
    """Give a device another name."""
    database: Database = state.database
    name = (await read_object(request)).get("name")
    if not isinstance(name, str):
        raise InvalidParameter("name must be text: the device's new name.")

    async def rename(connection: Connection) -> Device:
        device = await device_by_id(connection, request.state.account.id, device_id)
        await rename_device(connection, request.state.account.id, device.name, name)
        return await device_by_id(connection, request.state.account.id, device_id)

    return json_answer((await database.write(rename, request.state.account.id)).to_dict())


@delete("/v1/devices/{device_id:str}", opt=KEY)
async def end_device(request: Request[Any, Any, Any], state: State, device_id: str) -> Response[None]:
    """End a device's token for ever; its calls stay."""
    database: Database = state.database

    async def revoke(connection: Connection) -> None:
        device = await device_by_id(connection, request.state.account.id, device_id)
        await revoke_device(connection, request.state.account.id, device.name)

    await database.write(revoke, request.state.account.id)
    return Response(None, status_code=204, headers=NO_STORE)
