"""What commands share: settings, the database, errors."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from ringback.settings import check_database_url, load_settings

Database = Annotated[
    str, typer.Option("--database", help="The database's address, instead of RINGBACK_DATABASE_URL.", metavar="URL")
]


def fail(sentence: str, code: int) -> NoReturn:
    """Say what is wrong and end the command."""
    print(f"ringback: {sentence}", file=sys.stderr)
    sys.exit(code)


def warn_unknown_settings() -> None:
    """Check the settings, and name those that may be misspelled."""
    for name in load_settings().unknown:
        print(f"ringback: {name} is no setting of Ringback; is it misspelled?", file=sys.stderr)


def database_url(given: str = "") -> str:
    """The address from `--database`, else from the settings."""
    if given:
        check_database_url(given, "--database")
    return given or load_settings().database_url
