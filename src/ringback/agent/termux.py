"""The `termux-*` commands: found on PATH, each with a limit, none trusted to end by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from typing import Any

from .deadline import Deadline
from .trouble import Trouble

SIDE_SECONDS = 4.0
"""For what a run can do without: battery, notification, the zone's name."""

LOG_SECONDS = 12.0


def run(deadline: Deadline, seconds: float, command: str, *arguments: str) -> bytes:
    """What a command prints. Raises Trouble where it is missing, fails or hangs."""
    path = shutil.which(command)
    if path is None:
        raise Trouble(f"{command} is missing; run `pkg install termux-api` and install the app Termux:API.")
    try:
        process = subprocess.Popen(
            [path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Trouble(f"{command} can't be started ({error.strerror}).") from error
    try:
        output, _ = process.communicate(timeout=deadline.left(seconds))
    except subprocess.TimeoutExpired as error:
        raise Trouble(
            f"{command} did not answer; open the app Termux:API once, and exempt it from battery saving."
        ) from error
    finally:
        _end(process)
    if process.returncode:
        raise Trouble(f"{command} failed (exit code {process.returncode}); update termux-api and the app Termux:API.")
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started: the helper of Termux:API may hang in a process of its own."""
    if process.poll() is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


def battery(deadline: Deadline) -> tuple[Any, Any]:
    """The charge in percent and whether it grows; None where the phone does not say."""
    try:
        state = json.loads(run(deadline, SIDE_SECONDS, "termux-battery-status"))
        percent, status = state.get("percentage"), state.get("status")
    except (Trouble, ValueError, AttributeError):
        return None, None
    known = isinstance(percent, int) and 0 <= percent <= 100
    return (percent if known else None), (status in ("CHARGING", "FULL") if isinstance(status, str) else None)


def system_property(deadline: Deadline, name: str) -> str:
    """A property of Android; "" where there is none."""
    try:
        return run(deadline, SIDE_SECONDS, "getprop", name).decode("utf-8", "replace").strip()
    except Trouble:
        return ""
