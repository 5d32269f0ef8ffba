"""`ringback serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.common import Database, database_url
from ringback.web import server

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that answer.")]


def serve(host: Host = "127.0.0.1", port: Port = 8080, database: Database = "", workers: Workers = 1) -> None:
    """Start the server."""
    server.serve(host, port, workers, database_url(database), on_ready=_announce)


def _announce(url: str) -> None:
    print(f"Ringback answers at {url}", flush=True)
