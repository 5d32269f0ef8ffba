"""The command `ringback`: one file a noun, all put together here."""

from __future__ import annotations

import sys

import typer

from ringback.cli.common import fail, warn_unknown_settings
from ringback.cli.server import serve
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


@app.callback()
def _commands() -> None:
    """With a callback Typer keeps the command's name even while there is but one."""


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
        # Who read our output has gone, as `head` does; nothing is left to say.
        sys.stderr.close()
        sys.exit(1)
