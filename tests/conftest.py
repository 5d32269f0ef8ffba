"""Both databases, for every test that asks for `database_url` or `service`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from browser import chromium
from postgresql import new_database, postgresql_server
from receiver import Receiver
from service import LOGS, SECRETS, Service, Shell

# One profile everywhere: without it hypothesis takes another one where CI is set, and tests differ there.
settings.register_profile(
    "ringback", deadline=None, print_blob=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ringback")

# A shell starts what it puts in the background deaf to Ctrl-C, and so would be every command that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["chromium"]

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session", autouse=True)
def logs() -> Iterator[None]:
    """At the end of a run: no key, token, password, number or name that it used stands in any log of its servers."""
    yield
    values = {value for log in LOGS for line in log.open("rb") for value in logged_values(line)}
    text = "\n".join(values)
    assert not [secret for secret in SECRETS if secret in text]
    for log in LOGS:
        log.unlink()


def logged_values(line: bytes) -> list[str]:
    """The texts of a line, less those that are new in each; a line that is no JSON whole."""
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return [line.decode()]
    return [str(value) for name, value in event.items() if name not in ("time", "request_id", "ms")]


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The address of an empty database of an engine."""

    def make(engine: str) -> str:
        if engine == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('database')}/ringback.db"
        return new_database(request.getfixturevalue("postgresql_url"))

    return make


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, fresh: Callable[[str], str]) -> str:
    """The address of an empty database."""
    return fresh(request.param)


@pytest.fixture
def shell(database_url: str) -> Shell:
    """Commands on a database with the account `shop`."""
    shell = Shell(database_url)
    shell.ok("account", "create", "shop")
    return shell


@pytest.fixture
def here(tmp_path: Path) -> Shell:
    """The same for what does not depend on the database."""
    shell = Shell(f"sqlite:///{tmp_path}/ringback.db")
    shell.ok("account", "create", "shop")
    return shell


@pytest.fixture(scope="session", params=ENGINES)
def service(request: pytest.FixtureRequest, fresh: Callable[[str], str]) -> Iterator[Service]:
    """A running server. Tests share it; each makes accounts of its own."""
    service = Service(fresh(request.param))
    yield service
    service.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    receiver = Receiver()
    yield receiver
    receiver.stop()
