"""The commands of the agent."""

from __future__ import annotations

import argparse
import io
import sys
import time
import traceback
import zipfile
from contextlib import suppress
from pathlib import Path

from . import VERSION
from .calllog import read_log
from .deadline import deadline
from .home import Config, find_config, load_config, lock, open_home, save_config, write_file
from .outbox import open_outbox
from .proof import send_heartbeat
from .schedule import is_scheduled, schedule, unschedule
from .server import Server, read_address, read_link
from .sync import describe, sync
from .trouble import ServerTrouble, Trouble, UsageTrouble


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 1 not all could be done and it is kept for later, 2 wrong usage."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except UsageTrouble as trouble:
        print(trouble.sentence, file=sys.stderr)
        return 2
    except Trouble as trouble:
        print(trouble.sentence, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    except Exception as error:  # its text may quote a number
        frame = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"The agent failed ({type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}).", file=sys.stderr
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent.pyz", description="Brings this phone's call log to a Ringback server.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pairing = commands.add_parser("pair", help="pair this phone: with a link, or a server and a code")
    pairing.add_argument("link", metavar="LINK", help="the link, or the server's address")
    pairing.add_argument("code", metavar="CODE", nargs="?", help="the code, where the server's address is given")
    pairing.set_defaults(run=_pair)
    syncing = commands.add_parser("sync", help="bring the call log to the server")
    syncing.add_argument("--scheduled", action="store_true", help="leave a server alone that has just failed")
    syncing.add_argument(
        "--wait", metavar="SECONDS", type=float, nargs="?", const=15.0, default=0.0,
        help="at the end of a call: wait for its row, at most so long (15)",
    )  # fmt: skip
    syncing.set_defaults(run=lambda given: sync(open_home(), scheduled=given.scheduled, wait_s=given.wait))
    commands.add_parser("schedule", help="run `sync` every 15 minutes").set_defaults(run=_schedule)
    commands.add_parser("unschedule", help="end that").set_defaults(run=_unschedule)
    commands.add_parser("status", help="show how things stand").set_defaults(run=_status)
    commands.add_parser("doctor", help="find what is in the way").set_defaults(run=_doctor)
    commands.add_parser("unpair", help="forget the server and its token").set_defaults(run=_unpair)
    commands.add_parser("update", help="fetch the server's version of this program").set_defaults(run=_update)
    return parser


def _pair(given: argparse.Namespace) -> int:
    text, code = (given.link, given.code) if given.code else read_link(given.link)
    address = read_address(text)
    home = open_home()
    if not address.secure:
        print("Warning: http:// is not encrypted; everyone in this network can read the calls.", file=sys.stderr)
    with lock(home), deadline() as limit, open_outbox(home) as outbox:
        server = Server(address, "", limit)
        answer = server.post("/v1/devices/pair", {"code": code, "platform": "termux", "agent_version": VERSION})
        server.close()
        token, name = answer.get("token"), answer.get("name")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not isinstance(name, str):
            raise ServerTrouble(f"{address.host} does not answer as a Ringback server does; check its address.")
        outbox.send_everything_again()
        outbox.note(paired_at=time.time())
        save_config(home, Config(address.text, token, str(answer.get("device_id")), name))
    print(
        f"{name} is paired with {address.text}. Next: `sync` brings the call log over, `schedule` does so every 15"
        " minutes, `doctor` finds what is in the way."
    )
    return 0


def _status(_: argparse.Namespace) -> int:
    home = open_home()
    config = load_config(home)
    with open_outbox(home) as outbox:
        print(describe(outbox, config))
    return 0


def _doctor(_: argparse.Namespace) -> int:
    """Look at each thing that a sync needs; exit 1 where one is in the way."""
    home = open_home()
    well = True

    def look(what: str, trouble: Trouble | None) -> None:
        nonlocal well
        well = well and trouble is None
        print(f"{'ok  ' if trouble is None else 'FAIL'} {what}{f': {trouble.sentence}' if trouble else ''}")

    with deadline() as limit:
        try:
            count = len(read_log(limit).rows)
            look(f"the call log can be read ({count} rows)", None)
        except Trouble as trouble:
            look("the call log can be read", trouble)
        try:
            with open_outbox(home):
                look("the outbox can be used", None)
        except Trouble as trouble:
            look("the outbox can be used", trouble)
        try:
            config = load_config(home)
            look(f"paired with {config.server}", None)
            server = Server(read_address(config.server), config.token, limit)
            with open_outbox(home) as outbox:
                send_heartbeat(outbox, server, limit)
            server.close()
            look("the server answers and knows this phone", None)
        except Trouble as trouble:
            look("the server answers and knows this phone", trouble)
        try:
            scheduled = is_scheduled(limit)
            look("sync runs by itself", None if scheduled else Trouble("it does not; run `schedule`."))
        except Trouble as trouble:
            look("sync runs by itself", trouble)
    return 0 if well else 1


def _schedule(_: argparse.Namespace) -> int:
    home = open_home()
    with deadline() as limit:
        print(schedule(home, limit))
    return 0


def _unschedule(_: argparse.Namespace) -> int:
    home = open_home()
    with deadline() as limit:
        print(unschedule(home, limit))
    return 0


def _unpair(_: argparse.Namespace) -> int:
    home = open_home()
    with lock(home):
        if find_config(home) is None:
            print("This phone is not paired.")
            return 0
        with open_outbox(home) as outbox:
            waiting = outbox.count()
        (home / "config.json").unlink()
    with deadline() as limit, suppress(Trouble):
        unschedule(home, limit)
    print(
        f"The token is forgotten; {waiting} calls wait in {home} for the next pairing. Revoke the phone on the server"
        " too."
    )
    return 0


def _update(_: argparse.Namespace) -> int:
    config = load_config(open_home())
    program = Path(sys.argv[0]).resolve()
    if program.suffix != ".pyz":
        raise UsageTrouble("Only the program agent.pyz can update itself.")
    with deadline() as limit:
        content = Server(read_address(config.server), config.token, limit).get("/agent.pyz")
    try:
        zipfile.ZipFile(io.BytesIO(content)).getinfo("__main__.py")
    except (zipfile.BadZipFile, KeyError):
        raise ServerTrouble("The server's answer is no agent; nothing was changed.") from None
    if content == program.read_bytes():
        print(f"This is the server's version already ({VERSION}).")
        return 0
    write_file(program, content, 0o755)
    print("Updated. The folder with the outbox stays as it is.")
    return 0
