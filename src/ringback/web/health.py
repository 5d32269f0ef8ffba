"""Whether the server is alive and able to answer, for load balancers and start scripts."""

from __future__ import annotations

from litestar import HttpMethod, Response, route

from ringback.web.answers import json_answer


@route("/healthz", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def healthz() -> Response[bytes]:
    """The process is alive."""
    return json_answer({"status": "alive"})
