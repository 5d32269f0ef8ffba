"""Whether the server is alive and able to answer, for load balancers and start scripts."""

from __future__ import annotations

from litestar import HttpMethod, Response, route
from litestar.datastructures import State

from ringback.db import Database
from ringback.errors import Unavailable
from ringback.web.answers import json_answer
from ringback.web.auth import PUBLIC


@route("/healthz", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def healthz() -> Response[bytes]:
    """The process is alive."""
    return json_answer({"status": "alive"})


@route("/readyz", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def readyz(state: State) -> Response[bytes]:
    """The database answers, is of this program's schema and lies where it lay; webhooks are being sent."""
    database: Database = state.database
    await database.check()
    if state.worker and not state.worker.is_running:
        raise Unavailable("Webhooks are no longer sent; restart the server.")
    return json_answer({"status": "ready"})
