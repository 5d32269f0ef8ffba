"""The command `ringback`: one file a noun, all put together here."""

from __future__ import annotations

import os
import sys
import traceback

import typer

from ringback.cli import account, device, imports, key, lists, member, webhook
from ringback.cli.common import fail, warn_unknown_settings
from ringback.cli.export import export
from ringback.cli.follow import follow
from ringback.cli.imports import import_
from ringback.cli.server import demo, migrate, openapi, serve, worker
from ringback.errors import InvalidParameter, RingbackError

app = typer.Typer(
    name="ringback",
    help="The call history of ordinary mobile phones, kept on a server of your own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(demo)
app.command()(worker)
app.add_typer(account.app, name="account")
app.add_typer(key.app, name="key")
app.add_typer(device.app, name="device")
app.add_typer(member.app, name="member")
app.add_typer(webhook.app, name="webhook")
app.command("import")(import_)
app.add_typer(imports.app, name="imports")
app.add_typer(lists.app, name="list")
app.command()(export)
app.command()(follow)
app.command()(migrate)
app.command()(openapi)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 refused or partly done, 2 wrong usage, 130 interrupted."""
    try:
        warn_unknown_settings()
        app()
    except InvalidParameter as error:
        fail(error.detail, 2)
    except RingbackError as error:
        fail(error.detail, 1)
    except KeyboardInterrupt:
        fail("Interrupted.", 130)
    except BrokenPipeError:
        # Who read our output has gone, as `head` does; what is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # Its text may quote numbers and names.
        place = traceback.extract_tb(error.__traceback__)[-1]
        fail(f"This is a fault of Ringback ({type(error).__name__} at {place.name}:{place.lineno}); please tell us.", 1)
