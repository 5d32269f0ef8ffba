"""`ringback webhook`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ringback.calls.filters import MOST_NUMBER
from ringback.cli.common import AccountName, Format, FormatOption, for_account, read, show, with_database, write
from ringback.db import Connection, Database
from ringback.errors import InvalidParameter, NotFound
from ringback.events import TYPES
from ringback.ids import DELIVERY, WEBHOOK, read_id
from ringback.settings import load_settings
from ringback.times import parse_moment
from ringback.webhooks import (
    change_webhook,
    check_events,
    check_secret,
    create_webhook,
    delete_webhook,
    delivery_by_id,
    list_deliveries,
    list_webhooks,
    replay_all,
    resend,
)

app = typer.Typer(help="Webhooks: other systems hear of calls as they come.", no_args_is_help=True)

COLUMNS = ("id", "url", "events", "status", "created_at")
DELIVERY_COLUMNS = (
    "id",
    "type",
    "status",
    "change",
    "created_at",
    "next_attempt_at",
    "attempts",
    "last_status",
    "error",
)

WebhookId = Annotated[str, typer.Argument(help="The webhook's id, as `webhook list` shows it.", metavar="ID")]


def _account(kind: str, id: str) -> int:
    """The account in an id."""
    place = read_id(kind, id)
    if place is None:
        raise NotFound("There is nothing of that id; `ringback webhook list` and `deliveries` show them.")
    return place[0]


@app.command()
def create(
    account: AccountName,
    url: Annotated[str, typer.Option(help="Where events are sent to.", metavar="ADDRESS")],
    event: Annotated[
        list[str] | None, typer.Option(help="A type of events; give it several times. All by default.", metavar="TYPE")
    ] = None,
    secret: Annotated[
        str, typer.Option(help="What events are signed with; made where none is given.", metavar="TEXT")
    ] = "",
    format: FormatOption = Format.table,
) -> None:
    """Make a webhook and print its id and its secret, which can't be shown again."""
    from ringback.addresses import check_url  # takes a while to load

    types, chosen = check_events(event or TYPES), check_secret(secret or None)

    async def make(database: Database) -> dict[str, Any]:
        checked = await check_url(url, load_settings().webhook_networks)
        made = await database.write(
            for_account(account, lambda c, found: create_webhook(c, found.id, checked, types, chosen))
        )
        return {"id": made.id, "secret": chosen}

    show([with_database(make)], ("id", "secret"), format)


@app.command("list")
def list_(account: AccountName, format: FormatOption = Format.table) -> None:
    """List the account's webhooks."""
    found = read(for_account(account, lambda connection, found: list_webhooks(connection, found.id)))
    rows = [webhook.to_dict() for webhook in found]
    show(
        rows if format == Format.json else [{**row, "events": ",".join(row["events"])} for row in rows], COLUMNS, format
    )


@app.command()
def pause(id: WebhookId) -> None:
    """Hold a webhook's deliveries."""
    write(lambda connection: change_webhook(connection, _account(WEBHOOK, id), id, status="paused"))


@app.command()
def resume(id: WebhookId) -> None:
    """Send what was held, and what comes; also where the receiver's 410 had disabled it."""
    write(lambda connection: change_webhook(connection, _account(WEBHOOK, id), id, status="active"))


@app.command()
def delete(id: WebhookId) -> None:
    """Delete a webhook with its deliveries."""
    write(lambda connection: delete_webhook(connection, _account(WEBHOOK, id), id))


@app.command()
def deliveries(
    id: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    format: FormatOption = Format.table,
) -> None:
    """Show what became of each event, newest first."""
    found = read(lambda connection: list_deliveries(connection, _account(WEBHOOK, id), id, MOST_NUMBER, limit))
    show(found if format == Format.json else [_row(delivery) for delivery in found], DELIVERY_COLUMNS, format)


def _row(delivery: dict[str, Any]) -> dict[str, Any]:
    attempts = delivery["attempts"]
    last = attempts[-1] if attempts else {"status": None, "error": None}
    return {**delivery, "attempts": len(attempts), "last_status": last["status"], "error": last["error"]}


@app.command("resend")
def resend_(
    id: Annotated[str, typer.Argument(help="The delivery's id, as `webhook deliveries` shows it.", metavar="ID")],
) -> None:
    """Send an event again, with a fresh plan of attempts."""
    account_id = _account(DELIVERY, id)

    async def again(connection: Connection) -> None:
        await resend(connection, account_id, id)
        await delivery_by_id(connection, account_id, id)

    write(again)


@app.command("replay")
def replay_(
    id: WebhookId,
    start: Annotated[str, typer.Option("--from", help="From this moment on.", metavar="MOMENT")] = "",
    end: Annotated[str, typer.Option("--to", help="To this moment.", metavar="MOMENT")] = "",
    from_change: Annotated[int | None, typer.Option(min=0, help="From this change number on.")] = None,
    to_change: Annotated[int | None, typer.Option(min=0, help="To this change number.")] = None,
) -> None:
    """Send the events of a range again, whether or not they arrived; prints how many."""
    by_change = from_change is not None and to_change is not None and not start and not end
    first, last = (from_change, to_change) if by_change else (parse_moment(start), parse_moment(end))
    if first is None or last is None or (not by_change and (from_change, to_change) != (None, None)):
        raise InvalidParameter(
            "Give --from and --to, moments such as 2026-02-24T12:49:39Z, or --from-change and --to-change."
        )
    account_id, place = _account(WEBHOOK, id), "change" if by_change else "created_ms"
    print(with_database(lambda database: replay_all(database, account_id, id, place, first, last)))


@app.command()
def listen(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8088,
    secret: Annotated[
        list[str] | None, typer.Option(help="The webhook's secret; give both during a rotation.", metavar="TEXT")
    ] = None,
) -> None:
    """Receive events on this machine, check their signatures and print them as JSON lines; for developers."""
    from ringback.listening import listen_for_events

    print(f"Listening at http://127.0.0.1:{port}/; Ctrl-C ends it.", file=sys.stderr, flush=True)
    if not secret:
        print("No --secret is given, so signatures are not checked.", file=sys.stderr, flush=True)
    listen_for_events(port, secret or [], lambda line: print(line, flush=True))
