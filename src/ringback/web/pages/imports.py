"""`/imports`: files are dropped, come in, and what became of each stays to be read."""

from __future__ import annotations

import asyncio
import shutil
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from litestar import Response, post
from litestar.datastructures import State, UploadFile

from ringback.accounts import Account, check_name
from ringback.db import Connection
from ringback.devices import Device, list_devices
from ringback.errors import InvalidParameter, RingbackError
from ringback.imports import (
    Import,
    begin_import,
    find_import_and_rejected,
    import_file,
    list_imports,
    without_companions,
)
from ringback.logs import log_fault
from ringback.sources.reading import Options
from ringback.times import zone
from ringback.web.auth import session
from ringback.web.observe import request_id
from ringback.web.pages.access import NAME_BAD
from ringback.web.pages.frame import FormError, PageRequest, page, render, see_other
from ringback.web.pages.language import N_

Page = Response[Any]

LARGEST_UPLOAD: Final = 2_000_000_000
"""Bytes of all files that are dropped together."""

SHOWN: Final = 200
"""Imports in the history, and rejected rows of one."""

STATE_NAMES: Final = {
    "running": N_("Coming in"),
    "done": N_("Done"),
    "refused": N_("Refused"),
    "interrupted": N_("Interrupted"),
}
ZONE_BAD: Final = N_("There is no such time zone; take a name such as Europe/Paris.")
NO_FILE: Final = N_("Choose a file first.")


@page("/imports")
async def imports_page(request: PageRequest, state: State) -> Page:
    """The form to drop files on, and the history."""
    return await _show(request, state)


async def _show(request: PageRequest, state: State, error: FormError | None = None) -> Page:
    account: Account = request.state.account

    async def find(connection: Connection) -> tuple[list[Import], list[Device]]:
        return await list_imports(connection, account.id, SHOWN), await list_devices(connection, account.id)

    imports, devices = await state.database.read(find)
    return render(
        request, "imports.html", status=error.status if error else HTTPStatus.OK, error=error, imports=imports,
        phones=[(device.name, device.name) for device in devices if device.revoked_ms is None], states=STATE_NAMES,
        time_zone=account.time_zone,
    )  # fmt: skip


@page("/imports/{import_id:str}")
async def import_page(request: PageRequest, state: State, import_id: str) -> Page:
    """What became of one file, and its rejected rows."""
    account: Account = request.state.account

    found, rejected = await state.database.read(lambda c: find_import_and_rejected(c, account.id, import_id, SHOWN))
    rows = [(bad.place, bad.error, bytes(bad.report).decode()) for bad in rejected]
    return render(request, "import.html", found=found, rows=rows, states=STATE_NAMES)


@post("/imports", status_code=200, opt=session("member"), request_max_body_size=LARGEST_UPLOAD)
async def drop_files(request: PageRequest, state: State) -> Page:
    """Take files, and bring their calls in while the history shows how far they are."""
    account: Account = request.state.account
    fields = await request.form()
    files = [file for file in fields.getall("files", []) if isinstance(file, UploadFile) and file.filename]
    folder = TemporaryDirectory(prefix="ringback-")
    try:
        device, options = _read_options(
            fields.get("new") or fields.get("device") or "", fields.get("time_zone"), account
        )
        paths = [await asyncio.to_thread(_keep, file, Path(folder.name)) for file in files]
        if not paths:
            raise FormError(NO_FILE, "files")
    except FormError as error:
        folder.cleanup()
        return await _show(request, state, error)
    finally:
        for file in files:
            await file.close()
    begun = {path: await begin_import(state.database, account.id, path.name) for path in without_companions(paths)}
    work = _bring_in(state, account.id, folder, begun, device, options, request_id(request.scope))
    task = asyncio.create_task(work)
    state.imports.add(task)
    task.add_done_callback(state.imports.discard)
    return see_other(request, "/imports")


def _read_options(device: str, time_zone: str | None, account: Account) -> tuple[str, Options]:
    try:
        name = check_name(device, "A phone's name") if device.strip() else ""
    except InvalidParameter:
        raise FormError(NAME_BAD, "new") from None
    try:
        return name, Options(zone((time_zone or "").strip() or account.time_zone), {})
    except InvalidParameter:
        raise FormError(ZONE_BAD, "time_zone") from None


def _keep(file: UploadFile, folder: Path) -> Path:
    """Copy an upload into the folder under its own name: a database and its `-wal` know each other by that."""
    name = file.filename.replace("\\", "/").rpartition("/")[2].replace("\0", "").lstrip(".") or "file"
    path = folder / name.encode("utf-8", "replace")[-200:].decode("utf-8", "ignore")
    while path.exists():
        path = path.with_name(f"_{path.name}")
    with path.open("wb") as kept:
        shutil.copyfileobj(file.file, kept)
    return path


async def _bring_in(
    state: State,
    account_id: int,
    folder: TemporaryDirectory[str],
    begun: dict[Path, int],
    device: str,
    options: Options,
    request: str,
) -> None:
    """Bring the files of a folder in, together; then the folder goes. The history says what is wrong with one."""

    async def bring_in(path: Path, number: int) -> None:
        try:
            await import_file(state.database, account_id, path, options, number=number, device=device)
        except RingbackError:
            return
        except Exception as error:
            log_fault(error, request_id=request)

    try:
        async with asyncio.TaskGroup() as group:
            for path, number in begun.items():
                group.create_task(bring_in(path, number))
    finally:
        await asyncio.to_thread(folder.cleanup)
