"""A real server on a real port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import httpx2 as httpx

RINGBACK = (sys.executable, "-m", "ringback")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: no setting of whoever runs the tests reaches it."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}, **more}


class Service:
    """`ringback serve` as a process of its own."""

    def __init__(self, database_url: str, *options: str, program: tuple[str, ...] = (*RINGBACK, "serve")) -> None:
        self.database_url = database_url
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.command = (*program, "--port", str(self.port), "--database", database_url, *options)
        self.start()

    def start(self) -> None:
        """Start the process; again, on the same port, where it was killed."""
        self.process = subprocess.Popen(
            self.command, start_new_session=True, env=environment(), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """End it as an operator does; returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        """Kill all its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
