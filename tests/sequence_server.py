"""`ringback serve`, patched to take change numbers from a sequence: the control that tests of the feed must catch."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from litestar.types import ASGIApp

from ringback.calls import store
from ringback.web import app, server

NUMBERS_A_BATCH = 10_000


def create_app() -> ASGIApp:
    lock_account = store._lock_account

    async def lock_later(connection: Any, account_id: int) -> Any:
        row = await connection.fetch_one("select nextval('control')")
        await asyncio.sleep(random.random() * 0.02)
        counters = await lock_account(connection, account_id)
        return counters._replace(last_change=row[0] * NUMBERS_A_BATCH)

    store._lock_account = lock_later
    monotonic = store._SET_COUNTERS.replace("last_change = $4", "last_change = greatest(last_change, $4)")
    vars(store)["_SET_COUNTERS"] = monotonic
    return app.create_app()


if __name__ == "__main__":
    from ringback.cli import main

    vars(server)["APPLICATION"] = "sequence_server:create_app"
    main()
