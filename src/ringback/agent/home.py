"""The agent's folder: what pairing brought, and the lock against two runs. Nobody but its owner may look into it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .trouble import Trouble


class Config(NamedTuple):
    """What pairing brought."""

    server: str
    token: str
    device_id: str
    name: str


def open_home() -> Path:
    """The agent's folder, made where it is missing. Raises Trouble."""
    home = Path(os.environ.get("RINGBACK_AGENT_HOME") or Path.home() / ".ringback").absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        raise Trouble(f"The folder {home} can't be used ({error.strerror}).") from error
    os.umask(0o077)
    return home


def find_config(home: Path) -> Config | None:
    """What pairing brought; None where the phone is not paired. Raises Trouble where the file is damaged."""
    file = home / "config.json"
    if not file.exists():
        return None
    try:
        return Config(**{name: str(value) for name, value in json.loads(file.read_text("utf-8")).items()})
    except (ValueError, TypeError, AttributeError, OSError):
        raise Trouble(f"{file} is damaged; pair the phone again. What waits to be sent is kept.") from None


def load_config(home: Path) -> Config:
    """What pairing brought. Raises Trouble where the phone is not paired."""
    config = find_config(home)
    if config is None:
        raise Trouble("This phone is not paired; `ringback device pair` on the server shows how.")
    return config


def save_config(home: Path, config: Config) -> None:
    """Keep what pairing brought; the token lies in this file alone."""
    write_file(home / "config.json", json.dumps(config._asdict(), indent=2).encode())


def write_file(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all. Raises Trouble."""
    draft = file.with_name(file.name + ".new")
    try:
        with draft.open("wb") as stream:
            draft.chmod(mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        raise Trouble(f"{file} can't be written ({error.strerror}); make room on the phone.") from error


@contextmanager
def lock(home: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of the folder, which ends with the process. Raises Trouble where another run has it."""
    end = time.monotonic() + patience_s
    try:
        file = (home / "lock").open("a")
    except OSError as error:
        raise Trouble(f"The folder {home} can't be written ({error.strerror}); make room on the phone.") from error
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Trouble("Another run of the agent is under way; this one does nothing.") from None
                time.sleep(0.1)
        yield
