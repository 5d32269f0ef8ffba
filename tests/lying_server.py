"""`ringback serve`, patched to claim too much: controls that the campaign of phones must catch. LIE says how."""

from __future__ import annotations

import os
from typing import Any

from litestar import Litestar

from ringback import proof
from ringback.web import app, server, sync


def create_app() -> Litestar:
    note_seen = sync.note_seen

    async def claim_now(connection: Any, account_id: int, device_id: int, at_ms: int) -> None:
        await note_seen(connection, account_id, device_id, at_ms)
        sql = "update devices set synced_through_ms = $3, newest_row = 'null' where account_id = $1 and id = $2"
        await connection.execute(sql, account_id, device_id, at_ms)

    async def find_nothing_missing(*_: Any) -> list[int]:
        return []

    if os.environ["LIE"] == "now":
        sync.note_seen = claim_now
    else:
        proof.find_missing = find_nothing_missing
    return app.create_app()


if __name__ == "__main__":
    from ringback.cli import main

    vars(server)["APPLICATION"] = "lying_server:create_app"
    main()
