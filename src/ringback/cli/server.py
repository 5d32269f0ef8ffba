"""`ringback serve` and `ringback migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.common import DatabaseUrl, database_url, with_database
from ringback.web import server

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that answer.")]


def serve(host: Host = "127.0.0.1", port: Port = 8080, database: DatabaseUrl = "", workers: Workers = 1) -> None:
    """Start the server; the database is brought up to date first."""
    url = database_url(database)
    with_database(lambda opened: opened.check(), url)
    server.serve(host, port, workers, url, on_ready=_announce)


def _announce(url: str) -> None:
    print(f"Ringback answers at {url}", flush=True)


def migrate() -> None:
    """Make the database, or bring it up to date."""
    with_database(lambda opened: opened.check())
