"""The phone agent as one file, as `GET /agent.pyz` hands it out."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from importlib.resources import files

_SHEBANG = b"#!/usr/bin/env python3\n"
_START = b"""import sys

if sys.version_info < (3, 9):
    sys.exit("The Ringback agent needs Python 3.9 or newer.")
from ringback_agent.command import main

sys.exit(main())
"""


@cache
def build_archive() -> bytes:
    """A zipapp of the package `ringback.agent`: the same bytes for the same sources."""
    buffer = io.BytesIO(_SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _write(archive, "__main__.py", _START)
        for file in sorted(files("ringback.agent").iterdir(), key=lambda file: file.name):
            if file.name.endswith(".py") and file.name != "__main__.py":
                _write(archive, f"ringback_agent/{file.name}", file.read_bytes())
    return buffer.getvalue()


def _write(archive: zipfile.ZipFile, name: str, source: bytes) -> None:
    # ZipInfo's own date is 1980, so that neither the clock nor the checkout shows in the bytes.
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, source)
