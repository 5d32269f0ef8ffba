"""`/v1/devices`: the account's phones."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, Request, Response, delete, patch, post, route
from litestar.datastructures import State

from ringback.db import Connection, Database
from ringback.devices import device_by_id, list_devices, rename_device, revoke_device
from ringback.errors import InvalidParameter
from ringback.proof import account_synced_through, close_gap, list_gaps
from ringback.times import rfc3339
from ringback.web.answers import NO_STORE, json_answer
from ringback.web.auth import KEY
from ringback.web.body import read_object

READ = [HttpMethod.GET, HttpMethod.HEAD]


@route("/v1/devices", http_method=READ, opt=KEY)
async def devices(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """All devices, revoked ones too."""
    database: Database = state.database
    account_id = request.state.account.id

    async def find(connection: Connection) -> dict[str, Any]:
        synced_through = await account_synced_through(connection, account_id)
        gaps = await list_gaps(connection, account_id)
        found = [device.to_dict(gaps.get(device.number, [])) for device in await list_devices(connection, account_id)]
        shown = None if synced_through is None else rfc3339(synced_through)
        return {"devices": found, "next_cursor": None, "synced_through": shown}

    return json_answer(await database.read(find))


async def _one(connection: Connection, account_id: int, device_id: str) -> dict[str, Any]:
    device = await device_by_id(connection, account_id, device_id)
    gaps = await list_gaps(connection, account_id)
    return device.to_dict(gaps.get(device.number, []))


@route("/v1/devices/{device_id:str}", http_method=READ, opt=KEY)
async def one_device(request: Request[Any, Any, Any], state: State, device_id: str) -> Response[bytes]:
    """One device."""
    database: Database = state.database
    return json_answer(await database.read(lambda c: _one(c, request.state.account.id, device_id)))


@patch("/v1/devices/{device_id:str}", opt=KEY)
async def change_device(request: Request[Any, Any, Any], state: State, device_id: str) -> Response[bytes]:
    """Give a device another name."""
    database: Database = state.database
    name = (await read_object(request)).get("name")
    if not isinstance(name, str):
        raise InvalidParameter("name must be text: the device's new name.")

    async def rename(connection: Connection) -> dict[str, Any]:
        device = await device_by_id(connection, request.state.account.id, device_id)
        await rename_device(connection, request.state.account.id, device.name, name)
        return await _one(connection, request.state.account.id, device_id)

    return json_answer(await database.write(rename, request.state.account.id))


@delete("/v1/devices/{device_id:str}", opt=KEY)
async def end_device(request: Request[Any, Any, Any], state: State, device_id: str) -> Response[None]:
    """End a device's token for ever; its calls stay."""
    database: Database = state.database

    async def revoke(connection: Connection) -> None:
        device = await device_by_id(connection, request.state.account.id, device_id)
        await revoke_device(connection, request.state.account.id, device.name)

    await database.write(revoke, request.state.account.id)
    return Response(None, status_code=204, headers=NO_STORE)


@post("/v1/devices/{device_id:str}/gaps/{gap_id:str}/close", status_code=200, opt=KEY)
async def end_gap(request: Request[Any, Any, Any], state: State, device_id: str, gap_id: str) -> Response[bytes]:
    """Close a gap, as after an import of the calls that were missing; answers with the device."""
    database: Database = state.database

    async def close(connection: Connection) -> dict[str, Any]:
        device = await device_by_id(connection, request.state.account.id, device_id)
        await close_gap(connection, request.state.account.id, gap_id, device.number)
        return await _one(connection, request.state.account.id, device_id)

    return json_answer(await database.write(close, request.state.account.id))
