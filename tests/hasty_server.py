"""`ringback serve`, patched to answer before it commits: the control that tests of zero loss must catch."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from litestar import Litestar

from ringback.db import postgresql, sqlite
from ringback.web import app, server

DELAY_SECONDS = 0.2


def create_app() -> Litestar:
    in_savepoint, in_savepoints = sqlite._in_savepoint, postgresql._in_savepoints

    def answer_first(connection: Any, job: Any) -> Any:
        outcome = in_savepoint(connection, job)
        job.loop.call_soon_threadsafe(sqlite._answer, job.done, outcome)
        threading.Event().wait(DELAY_SECONDS)  # libfaketime breaks `time.sleep`
        return outcome

    async def answer_all_first(connection: Any, jobs: Any) -> Any:
        outcomes = await in_savepoints(connection, jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            postgresql._answer(job.done, outcome)
        await asyncio.sleep(DELAY_SECONDS)
        return outcomes

    sqlite._in_savepoint = answer_first
    postgresql._in_savepoints = answer_all_first
    return app.create_app()


if __name__ == "__main__":
    from ringback.cli import main

    vars(server)["APPLICATION"] = "hasty_server:create_app"
    main()
