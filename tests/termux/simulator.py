"""A simulated phone: its provider's rows, its zone and locale, its faults, and the real agent run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ringback.agent_archive import build_archive

COMMANDS = (
    "termux-call-log", "termux-battery-status", "termux-job-scheduler", "termux-notification", "getprop",
)  # fmt: skip
ASCII, ARABIC, PERSIAN, BURMESE = "0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "၀၁၂၃၄၅၆၇၈၉"
KEPT = 500


class Phone:
    """An Android phone with Termux and the agent on it."""

    def __init__(self, folder: Path, zone: str = "Europe/Brussels", digits: str = ASCII) -> None:
        self.folder, self.home = folder, folder / "home"
        self.agent = folder / "agent.pyz"
        self.agent.write_bytes(build_archive())
        self._state = folder / "state.json"
        self.rows: list[dict[str, Any]] = []
        self.zone, self.digits, self.fault, self.battery = zone, digits, "", 80
        self._last_id = 0
        (folder / "bin").mkdir()
        source = (Path(__file__).parent / "commands.py").read_text("utf-8")
        for command in COMMANDS:
            file = folder / "bin" / command
            file.write_text(f"#!{sys.executable} -SE\n{source}", "utf-8")
            file.chmod(0o755)

    def call(self, number: str | None, date: int, type: int = 3, **more: Any) -> dict[str, Any]:
        """A call is over: its row stands in the log, which keeps the newest 500 of each SIM."""
        self._last_id += 1
        row = {
            "_id": self._last_id, "number": number, "date": date, "duration": 0, "type": type, "name": None,
            "subscription_id": "1", **more,
        }  # fmt: skip
        self.rows.append(row)
        same = [one for one in self.rows if one["subscription_id"] == row["subscription_id"]]
        same.sort(key=lambda one: (one["date"], one["_id"]), reverse=True)
        gone = {one["_id"] for one in same[KEPT:]}
        self.rows = [one for one in self.rows if one["_id"] not in gone]
        return row

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RINGBACK_", "TZ"))}
        return {
            **inherited, "PATH": f"{self.folder}/bin", "SIM_STATE": str(self._state),
            "RINGBACK_AGENT_HOME": str(self.home), "HOME": str(self.folder), **more,
        }  # fmt: skip

    def write_state(self) -> None:
        names = ("rows", "zone", "digits", "fault", "battery")
        draft = self._state.with_suffix(".new")  # an agent may be reading it now
        draft.write_text(json.dumps({name: getattr(self, name) for name in names}), "utf-8")
        draft.replace(self._state)

    def start(self, *arguments: str, python: str = sys.executable, **more: str) -> subprocess.Popen[str]:
        self.write_state()
        return subprocess.Popen(
            (python, "-I", str(self.agent), *arguments), env=self.environment(**more), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.folder,
        )  # fmt: skip

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the agent to its end."""
        process = self.start(*arguments, **more)
        out, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors, errors
        return subprocess.CompletedProcess(arguments, process.returncode, out, errors)

    def commands(self, name: str) -> list[list[str]]:
        """How often and how a command was called that does something on the phone."""
        file = Path(f"{self._state}.calls")
        calls = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
        return [call[1:] for call in calls if call[0] == name]

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def failed(self, *arguments: str, code: int = 1) -> str:
        result = self.run(*arguments)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr
