"""`ringback serve`, patched to write events after the commit of what they tell of: the control that loses them."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar.types import ASGIApp

from ringback.calls import news
from ringback.events import add_events
from ringback.web import app, server

DELAY_SECONDS = 0.3
waiting: set[asyncio.Task[None]] = set()


def create_app() -> ASGIApp:
    original = app.open_database

    async def open_database(url: str) -> Any:
        database = await original(url)
        loop = asyncio.get_running_loop()

        async def later(account_id: int, more: tuple[Any, ...]) -> None:
            await asyncio.sleep(DELAY_SECONDS)
            await database.write(lambda connection: add_events(connection, account_id, *more), account_id)

        def start(account_id: int, more: tuple[Any, ...]) -> None:
            task = loop.create_task(later(account_id, more))
            waiting.add(task)
            task.add_done_callback(waiting.discard)

        async def add_later(_: Any, account_id: int, *more: Any) -> None:
            loop.call_soon_threadsafe(start, account_id, more)

        news.add_events = add_later
        return database

    app.open_database = open_database
    return app.create_app()


if __name__ == "__main__":
    from ringback.cli import main

    vars(server)["APPLICATION"] = "late_outbox_server:create_app"
    main()
