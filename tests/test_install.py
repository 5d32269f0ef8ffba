"""What the guides say works: the README's commands as a new user runs them, and Caddy in front."""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service import PASSWORD, Service, bearer, environment, free_port, make_member
from source_files import one_call, write_xml

ROOT = Path(__file__).parents[1]


def blocks(file: str, language: str = "") -> list[str]:
    """The blocks of code of a guide, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / file).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_first_call_of_the_readme(tmp_path: Path) -> None:
    (commands,) = [block for block in blocks("README.md") if "account create" in block]
    (curl,) = [block for block in blocks("README.md") if block.startswith("curl")]
    (shown,) = blocks("README.md", "json")
    write_xml(tmp_path / "calls-20260224.xml", [one_call()])
    variables = environment(RINGBACK_DATA_DIR=str(tmp_path / "data"), COLUMNS="100")
    *lines, serve = commands.splitlines()
    assert serve == ".venv/bin/ringback serve"
    printed = ""
    for line in lines:
        arguments = shlex.split(line.replace(".venv/bin/ringback", f"{sys.executable} -m ringback"))
        done = subprocess.run(arguments, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed = done.stdout
    service = Service(f"sqlite:///{tmp_path}/data/ringback.db")
    try:
        asked = curl.replace("YOUR_KEY", printed.strip()).replace("http://127.0.0.1:8080", service.url)
        answer = subprocess.run([*shlex.split(asked), "-s"], capture_output=True, check=True)
        assert json.loads(answer.stdout).keys() == json.loads(shown).keys()
        assert json.loads(answer.stdout)["success"] is True
    finally:
        service.stop()


@contextmanager
def caddy(folder: Path, port: int, behind: int) -> Iterator[ssl.SSLContext]:
    """Caddy with the guide's configuration and an authority of its own; yields how to trust that."""
    (site,) = blocks("docs/install.md", "caddy")
    site = site.replace("calls.example.org", f"localhost:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    options = (
        f"admin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\nstorage file_system {folder}/pki"
    )
    (folder / "Caddyfile").write_text(f"{{\n{options}\n}}\n{site}")
    process = subprocess.Popen(
        ("caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"), cwd=folder, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, "Caddy ended"
            assert time.monotonic() < deadline, "Caddy does not answer"
            try:
                context = ssl.create_default_context(cafile=str(folder / "pki/pki/authorities/local/root.crt"))
                urllib.request.urlopen(f"https://localhost:{port}/healthz", context=context, timeout=5).close()
                break
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
        yield context
    finally:
        process.terminate()
        process.wait()


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def test_caddy_in_front(tmp_path: Path) -> None:
    port = free_port()
    variables = {"RINGBACK_PUBLIC_URL": f"https://localhost:{port}", "RINGBACK_TRUSTED_PROXIES": "127.0.0.1/32"}
    (settings,) = [block for block in blocks("docs/install.md") if "RINGBACK_TRUSTED_PROXIES" in block]
    assert "RINGBACK_TRUSTED_PROXIES=127.0.0.1/32" in settings
    service = Service(f"sqlite:///{tmp_path}/ringback.db", variables=variables)
    try:
        customer = service.customer()
        member = make_member(service.database_url, customer.id)
        with caddy(tmp_path, port, service.port) as context:
            handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), NoRedirects())
            opener = urllib.request.build_opener(*handlers)
            url = f"https://localhost:{port}"
            request = urllib.request.Request(f"{url}/call/missed/list/", headers=bearer(customer.key))
            with opener.open(request) as answer:
                assert json.load(answer)["success"] is True
            form = f"email={member.email}&password={PASSWORD.replace(' ', '+')}".encode()
            with pytest.raises(urllib.error.HTTPError) as signed_in:
                opener.open(urllib.request.Request(f"{url}/login", form, {"Origin": url}))
            assert (signed_in.value.code, signed_in.value.headers["Location"]) == (303, "/")
            assert "Secure" in signed_in.value.headers["Set-Cookie"]
    finally:
        service.stop()
