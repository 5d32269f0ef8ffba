"""The application: its route table, and what its parts share."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.datastructures import CacheControlHeader, State
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Scope

from ringback.db import open_database
from ringback.errors import RingbackError
from ringback.logs import configure_logs
from ringback.settings import load_settings
from ringback.streams import END_STREAMS, Hub
from ringback.web.answers import answer_error, answer_fault, answer_http_error
from ringback.web.auth import PUBLIC, guard
from ringback.web.calls import calls, changes, end_call, one_call
from ringback.web.compat import incoming_list, missed_list, outgoing_list, phone_list
from ringback.web.devices import change_device, devices, end_device, end_gap, one_device
from ringback.web.events import events
from ringback.web.health import healthz, readyz
from ringback.web.observe import metrics, observed
from ringback.web.openapi import openapi
from ringback.web.pages.access import (
    accept_invite,
    invite_page,
    log_in,
    log_out,
    login_link,
    login_page,
    reset,
    reset_page,
    set_up,
    setup_page,
)
from ringback.web.pages.calls import call_page, calls_page, number_page
from ringback.web.pages.developers import developers_page, docs_page, end_key, make_key
from ringback.web.pages.frame import YEAR_S
from ringback.web.pages.imports import drop_files, import_page, imports_page
from ringback.web.pages.overview import overview
from ringback.web.pages.phones import (
    close_phone_gap,
    pair_phone,
    phone_arrived,
    phones_page,
    rename_phone,
    revoke_phone,
)
from ringback.web.pages.settings import (
    change_look,
    change_password,
    change_role,
    change_the_account,
    end_membership,
    end_one_session,
    invite_member,
    reset_member,
    settings_page,
    switch,
    turn_off_two_factor,
    turn_on_two_factor,
    two_factor_page,
)
from ringback.web.pages.webhooks import (
    add_webhook,
    change_one_webhook,
    new_secret,
    pause_webhook,
    remove_webhook,
    replay_days,
    resume_webhook,
    send_again,
    try_webhook,
    webhook_page,
    webhooks_page,
)
from ringback.web.pairing import agent_program, pair_device, pair_page
from ringback.web.sync import sync_calls, sync_heartbeat, sync_manifest, sync_rejected
from ringback.web.webhooks import (
    deliveries,
    end_webhook,
    make_webhook,
    one_delivery,
    one_webhook,
    patch_webhook,
    replay_events,
    resend_delivery,
    rotate_webhook,
    send_test,
    webhooks,
)
from ringback.worker import Worker

STATIC = Path(__file__).parent / "static"
"""Files that browsers load."""

MOST_BYTES_READ = 32_000_000
"""Bodies beyond this are cut off; handlers refuse smaller ones in their own words."""

PROGRAMS = ["^/call", "^/gateway", "^/v1", "^/healthz", "^/readyz", "^/metrics", "^/agent"]
"""Answers that are not compressed: packing takes longer than a network of today saves."""

ROUTES = [
    missed_list,  # GET /call/missed/list/
    incoming_list,  # GET /call/incoming/list/
    outgoing_list,  # GET /call/outgoing/list/
    phone_list,  # GET /gateway/mobile/list/
    healthz,  # GET /healthz
    readyz,  # GET /readyz
    metrics,  # GET /metrics
    openapi,  # GET /openapi.json
    sync_calls,  # POST /v1/sync/calls
    sync_rejected,  # GET /v1/sync/rejected
    sync_heartbeat,  # POST /v1/sync/heartbeat
    sync_manifest,  # POST /v1/sync/manifest
    calls,  # GET /v1/calls
    changes,  # GET /v1/changes
    one_call,  # GET /v1/calls/{id}
    end_call,  # DELETE /v1/calls/{id}
    pair_device,  # POST /v1/devices/pair
    events,  # GET /v1/events
    webhooks,  # GET /v1/webhooks
    make_webhook,  # POST /v1/webhooks
    one_webhook,  # GET /v1/webhooks/{id}
    patch_webhook,  # PATCH /v1/webhooks/{id}
    end_webhook,  # DELETE /v1/webhooks/{id}
    rotate_webhook,  # POST /v1/webhooks/{id}/rotate
    send_test,  # POST /v1/webhooks/{id}/test
    replay_events,  # POST /v1/webhooks/{id}/replay
    deliveries,  # GET /v1/webhooks/{id}/deliveries
    one_delivery,  # GET /v1/deliveries/{id}
    resend_delivery,  # POST /v1/deliveries/{id}/resend
    devices,  # GET /v1/devices
    one_device,  # GET /v1/devices/{id}
    change_device,  # PATCH /v1/devices/{id}
    end_device,  # DELETE /v1/devices/{id}
    end_gap,  # POST /v1/devices/{id}/gaps/{gap}/close
    pair_page,  # GET /pair
    agent_program,  # GET /agent.pyz
    overview,  # GET /
    calls_page,  # GET /calls
    call_page,  # GET /calls/{id}
    number_page,  # GET /numbers/{id}
    phones_page,  # GET /phones
    pair_phone,  # POST /phones
    phone_arrived,  # GET /phones/arrived
    rename_phone,  # POST /phones/{id}/rename
    revoke_phone,  # POST /phones/{id}/revoke
    close_phone_gap,  # POST /phones/{id}/gaps/{gap}/close
    imports_page,  # GET /imports
    drop_files,  # POST /imports
    import_page,  # GET /imports/{id}
    webhooks_page,  # GET /webhooks
    add_webhook,  # POST /webhooks
    webhook_page,  # GET /webhooks/{id}
    change_one_webhook,  # POST /webhooks/{id}/change
    pause_webhook,  # POST /webhooks/{id}/pause
    resume_webhook,  # POST /webhooks/{id}/resume
    remove_webhook,  # POST /webhooks/{id}/delete
    new_secret,  # POST /webhooks/{id}/secret
    try_webhook,  # POST /webhooks/{id}/test
    replay_days,  # POST /webhooks/{id}/replay
    send_again,  # POST /webhooks/{id}/deliveries/{id}/resend
    developers_page,  # GET /developers
    docs_page,  # GET /docs
    make_key,  # POST /developers/keys
    end_key,  # POST /developers/keys/{id}/revoke
    settings_page,  # GET /settings
    change_look,  # POST /settings/look
    change_the_account,  # POST /settings/account
    switch,  # POST /settings/switch
    change_password,  # POST /settings/password
    two_factor_page,  # GET /settings/two-factor
    turn_on_two_factor,  # POST /settings/two-factor
    turn_off_two_factor,  # POST /settings/two-factor/off
    end_one_session,  # POST /settings/sessions/{id}/end
    invite_member,  # POST /settings/members
    change_role,  # POST /settings/members/{id}/role
    end_membership,  # POST /settings/members/{id}/remove
    reset_member,  # POST /settings/members/{id}/reset
    login_page,  # GET /login
    log_in,  # POST /login
    login_link,  # GET /login/{secret}
    log_out,  # POST /logout
    setup_page,  # GET /setup/{secret}
    set_up,  # POST /setup/{secret}
    invite_page,  # GET /invite/{secret}
    accept_invite,  # POST /invite/{secret}
    reset_page,  # GET /reset/{secret}
    reset,  # POST /reset/{secret}
]


METHODS: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
"""What each path takes."""
for _handler in ROUTES:
    for _path in _handler.paths:
        METHODS[re.sub(r":\w+}", "}", _path)] |= {str(method) for method in _handler.http_methods}


async def name_methods(message: Message, scope: Scope) -> None:
    """Let OPTIONS tell all methods of a path: Litestar's own answer knows those of one handler."""
    path = scope.get("path_template")
    if message["type"] == "http.response.start" and scope.get("method") == "OPTIONS" and path in METHODS:
        others = [(name, value) for name, value in message["headers"] if name != b"allow"]
        message["headers"] = [*others, (b"allow", ", ".join(sorted(METHODS[path])).encode())]


def create_app() -> ASGIApp:
    """The ASGI application of one worker; `state.database` is open while it runs, `state.imports` are its
    tasks, `state.worker` sends webhooks, `state.hub` has its open streams."""
    # A worker has its parent's handler, which would swallow the signal until the worker has one of its own.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    configure_logs()
    app = Litestar(
        route_handlers=[
            *ROUTES,
            create_static_files_router(
                "/static",
                [STATIC],
                opt=PUBLIC,
                cache_control=CacheControlHeader(max_age=YEAR_S, public=True, immutable=True),
            ),
        ],
        state=State({"settings": load_settings()}),
        lifespan=[_database],
        guards=[guard],
        request_max_body_size=MOST_BYTES_READ,
        compression_config=CompressionConfig("gzip", gzip_compress_level=5, exclude=PROGRAMS),
        before_send=[name_methods],
        exception_handlers={
            RingbackError: answer_error,
            HTTPException: answer_http_error,
            Exception: answer_fault,
        },
        openapi_config=None,
        logging_config=None,
    )
    return observed(app, log_requests=app.state.settings.log_requests)


@asynccontextmanager
async def _database(app: Litestar) -> AsyncIterator[None]:
    app.state.database = await open_database(app.state.settings.database_url)
    app.state.imports = set()
    app.state.worker = Worker(app.state.database, app.state.settings) if app.state.settings.worker else None
    if app.state.worker:
        app.state.worker.start()
    app.state.hub = Hub(app.state.database, app.state.settings.streams_per_key)
    app.state.hub.start()
    asyncio.get_running_loop().add_signal_handler(END_STREAMS, app.state.hub.end_streams)
    try:
        yield
    finally:
        await app.state.hub.stop()
        if app.state.worker:
            await app.state.worker.stop()
        for task in app.state.imports:
            task.cancel()
        await asyncio.gather(*app.state.imports, return_exceptions=True)
        await app.state.database.close()
