"""`ringback serve`: the process of the HTTP server and its workers."""

from __future__ import annotations

import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import import_module
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from ringback.errors import Conflict
from ringback.logs import FOREIGN_LOGS
from ringback.streams import END_STREAMS

APPLICATION: Final = "ringback.web.app:create_app"

STOP_SECONDS: Final = 10
"""How long a worker may take to answer what it has begun when the server is told to stop."""

READY_SECONDS: Final = 60


def serve(host: str, port: int, workers: int, database_url: str, on_ready: Callable[[str], None]) -> None:
    """Answer until a signal ends it; `on_ready` is called with the server's address once it answers."""
    # The workers are processes of their own and read the settings anew.
    os.environ["RINGBACK_DATABASE_URL"] = database_url
    os.environ["RINGBACK_DATABASE_URL_FILE"] = ""  # it would win, also where it stands in a file .env
    url = _local_url(host, port)
    threading.Thread(target=_tell_when_ready, args=(url, on_ready), daemon=True).start()
    server = _Server(
        APPLICATION,
        factory=True,
        interface=Interfaces.ASGI,
        address=host,
        port=port,
        workers=workers,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
        log_dictconfig=FOREIGN_LOGS,
    )
    with TemporaryDirectory(prefix="ringback-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # where all workers count
        # Loaded once, so that workers, which are forks, start fast; only now, since it looks for that folder.
        import_module(APPLICATION.partition(":")[0])
        server.serve()


class _Server(Granian):  # type: ignore[misc,valid-type]  # the name stands for the class of this system
    """A server that ends open streams before it ends its workers."""

    def _stop_workers(self) -> None:
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker.inner.pid, END_STREAMS)
        super()._stop_workers()


def check_address(host: str, port: int) -> None:
    """Raise Conflict where nothing can listen at the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise Conflict(f"{host} is no address of this machine; choose another one with --host.") from None
    except OSError:
        raise Conflict(f"Port {port} of {host} is in use or not allowed; choose another one with --port.") from None


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _local_url(host: str, port: int) -> str:
    """The server's address on this machine; one on all addresses is reached by the loopback one."""
    return _url("127.0.0.1" if _is_everywhere(host) else host, port)


def reachable_url(host: str, port: int) -> str:
    """The address under which others in the network reach a server that listens so."""
    return _url(_own_address() if _is_everywhere(host) else host, port)


def _is_everywhere(host: str) -> bool:
    """Whether it means all addresses of this machine, as 0.0.0.0 does."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _own_address() -> str:
    """This machine's address in its network; the loopback address where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but chooses the interface that would
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _tell_when_ready(url: str, on_ready: Callable[[str], None]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            opener.open(f"{url}/healthz", timeout=5).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
        else:
            on_ready(url)
            return
