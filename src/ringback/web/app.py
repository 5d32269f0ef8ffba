"""The application: its route table, and what its parts share."""

from __future__ import annotations

from litestar import Litestar
from litestar.exceptions import HTTPException

from ringback.errors import RingbackError
from ringback.web.answers import answer_error, answer_fault, answer_http_error, name_request
from ringback.web.health import healthz

ROUTES = [
    healthz,
]


def create_app() -> Litestar:
    """The ASGI application of one worker."""
    return Litestar(
        route_handlers=ROUTES,
        before_send=[name_request],
        exception_handlers={
            RingbackError: answer_error,
            HTTPException: answer_http_error,
            Exception: answer_fault,
        },
        openapi_config=None,
        logging_config=None,
    )
