"""Running by itself: a job of Android's every 15 minutes, and a notification where nothing came through for a day."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from pathlib import Path

from .deadline import Deadline
from .home import Config, load_config, write_file
from .outbox import Outbox
from .termux import SIDE_SECONDS, run
from .trouble import Trouble, UsageTrouble

JOB_ID = "7401"
PERIOD_MS = "900000"
"""15 minutes: the shortest period that Android allows."""

DAY_S = 86_400
SCRIPT = "run.sh"


def schedule(home: Path, limit: Deadline) -> str:
    """Let Android run `sync` every 15 minutes; what was done, as a sentence. Raises Trouble."""
    load_config(home)
    program = Path(sys.argv[0]).resolve()
    if program.suffix != ".pyz":
        raise UsageTrouble("Only the program agent.pyz can be scheduled.")
    command = shlex.join([sys.executable, str(program), "sync", "--scheduled"])
    script = f"#!{shutil.which('sh') or '/bin/sh'}\nexec {command} >/dev/null 2>&1\n"
    write_file(home / SCRIPT, script.encode(), 0o700)
    # Without these words the job would not run on a low battery, and be gone after a restart.
    run(
        limit, SIDE_SECONDS, "termux-job-scheduler", "--job-id", JOB_ID, "--script", str(home / SCRIPT),
        "--period-ms", PERIOD_MS, "--network", "any", "--battery-not-low", "false", "--persisted", "true",
    )  # fmt: skip
    return "Android now runs `sync` every 15 minutes; exempt Termux and Termux:API from battery saving."


def unschedule(home: Path, limit: Deadline) -> str:
    """End that; what was done, as a sentence. Raises Trouble."""
    run(limit, SIDE_SECONDS, "termux-job-scheduler", "--cancel", "--job-id", JOB_ID)
    (home / SCRIPT).unlink(missing_ok=True)
    return "Android no longer runs `sync` by itself."


def is_scheduled(limit: Deadline) -> bool:
    """Whether Android has the job. Raises Trouble."""
    return JOB_ID.encode() in run(limit, SIDE_SECONDS, "termux-job-scheduler", "--pending")


def warn_after_a_day(outbox: Outbox, limit: Deadline, config: Config) -> None:
    """Show a notification where nothing has come through for a day; at most once a day."""
    now = time.time()
    since = max(outbox.noted("synced_at", 0.0), outbox.noted("paired_at", 0.0))
    if now - since < DAY_S or 0 <= now - outbox.noted("warned_at", 0.0) < DAY_S:
        return
    text = f"No call of {config.name} has reached the server for a day. In Termux: python agent.pyz doctor"
    try:
        run(limit, SIDE_SECONDS, "termux-notification", "-i", "ringback", "-t", "Ringback can't sync", "-c", text)
    except Trouble as trouble:
        print(trouble.sentence)
    else:
        outbox.note(warned_at=now)
