"""`ringback serve`, `ringback demo`, `ringback openapi` and `ringback migrate`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ringback.cli.common import DatabaseUrl, database_url, with_database
from ringback.db import Connection
from ringback.links import local_url, note_address
from ringback.logs import configure_logs
from ringback.members import SETUP, create_link, has_people
from ringback.settings import load_settings

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that answer.")]
NoWorker = Annotated[bool, typer.Option("--no-worker", help="Leave sending webhooks to `ringback worker`.")]

EXAMPLES = ("call/missed/list/?limit=5", "call/incoming/list/?q=nguyen", "call/outgoing/list/?sort_by=duration_sec")


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    database: DatabaseUrl = "",
    workers: Workers = 1,
    no_worker: NoWorker = False,
) -> None:
    """Start the server; the database is brought up to date first."""
    from ringback.web import server  # heavy, and no other command needs it

    if no_worker:
        os.environ["RINGBACK_WORKER"] = "0"
    server.check_address(host, port)
    url = database_url(database)
    setup_link = with_database(
        lambda opened: opened.write(lambda c: _prepare(c, server.reachable_url(host, port))), url
    )

    def announce(address: str) -> None:
        print(f"Ringback answers at {address}", flush=True)
        if setup_link:
            print(f"Nobody can sign in yet. Open this once, within a day, to set it up:\n  {setup_link}", flush=True)

    server.serve(host, port, workers, url, on_ready=announce)


async def _prepare(connection: Connection, listen_url: str) -> str:
    """Note where the server listens; the set-up link, "" where people can sign in already."""
    await note_address(connection, listen_url)
    if await has_people(connection):
        return ""
    return f"{await local_url(connection)}/setup/{await create_link(connection, SETUP)}"


def demo(host: Host = "127.0.0.1", port: Port = 8080, database: DatabaseUrl = "", workers: Workers = 1) -> None:
    """Start a server with a demo account of 90 days of calls, in a database of its own."""
    from ringback import demo, demo_phones
    from ringback.web import server

    os.environ.setdefault("RINGBACK_LOG_REQUESTS", "0")  # what follows is to stay in sight
    server.check_address(host, port)
    url = database_url(database) if database else f"sqlite:///{load_settings().data_dir / 'demo.db'}"
    silence = timedelta(days=demo.SILENT_DAYS)
    filled = with_database(lambda opened: demo.fill(opened, datetime.now(UTC)), url)

    def announce(address: str) -> None:
        demo_phones.sync(address, filled.silent_token, demo.calls_of(demo.SILENT, datetime.now(UTC) - silence))
        with_database(lambda opened: opened.write(lambda c: demo.fall_silent(c, filled.account_id)), url)
        demo_phones.sync_for_ever(address, filled.reporting_token, lambda now: demo.calls_of(demo.REPORTS, now))
        lines = [f"Ringback answers at {address} for the demo account. Open this once to see it:"]
        lines += [f"  {address}/login/{filled.login}"]
        lines += [f"Its key is {filled.key}. Try it from another terminal:"]
        lines += [f"  curl '{address}/{example}' -H 'Authorization: Bearer {filled.key}'" for example in EXAMPLES]
        print("\n".join(lines), flush=True)

    server.serve(host, port, workers, url, on_ready=announce)


def openapi() -> None:
    """Print the API's description as OpenAPI 3.1."""
    from ringback.web.openapi import describe

    print(json.dumps(describe(load_settings().public_url), indent=2, ensure_ascii=False))


def worker(database: DatabaseUrl = "") -> None:
    """Send webhooks, beside servers that were started with --no-worker; several share the work."""
    from ringback.worker import work_until_stopped

    configure_logs()
    settings = load_settings()
    print("Ringback sends webhooks.", flush=True)
    with_database(lambda opened: work_until_stopped(opened, settings), database_url(database))


def migrate() -> None:
    """Make the database, or bring it up to date."""
    with_database(lambda opened: opened.check())
