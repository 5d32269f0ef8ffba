"""Settings, commands, options, endpoints and error codes stand in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from ringback import errors
from ringback.calls.contract import _FIELDS, EXPORTED
from ringback.calls.query import ORDERS
from ringback.cli import app
from ringback.settings import SETTINGS
from ringback.sources import SOURCES
from ringback.web.app import ROUTES

ROOT = Path(__file__).parents[1]
API = (ROOT / "docs" / "api.md").read_text("utf-8")
COMMANDS = (ROOT / "docs" / "command-line.md").read_text("utf-8")


def commands() -> dict[str, list[str]]:
    """The options of each command by its full name."""
    group = typer.main.get_command(app)
    found: dict[str, list[str]] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        found |= options_of(name, command)
    return found


def options_of(name: str, command: Any) -> dict[str, list[str]]:
    """The options of a command, or of those inside it."""
    inner = getattr(command, "commands", None)
    if inner:
        return {full: options for n, one in inner.items() for full, options in options_of(f"{name} {n}", one).items()}
    return {name: [option for p in command.params for option in p.opts if option.startswith("--")]}


@pytest.mark.parametrize("name", commands())
def test_commands(name: str) -> None:
    line = next((line for line in COMMANDS.splitlines() if f"`ringback {name}`" in line), "")
    assert line, name
    known = {"--account", "--name", "--format", "--help", "--host", "--port", "--database", "--workers"}
    for option in set(commands()[name]) - known:
        assert f"`{option}`" in line, f"{name} {option}"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_settings(name: str) -> None:
    assert f"| `{name}` |" in COMMANDS


def test_pages() -> None:
    text = (ROOT / "docs" / "dashboard.md").read_text("utf-8")
    for handler in ROUTES:
        if handler.opt["access"] == "session" or ("POST" not in handler.http_methods and is_page(handler)):
            for path in handler.paths:
                assert f"`{re.sub(r':.+?}', '}', path).split('/{')[0]}" in text, path


def is_page(handler: Any) -> bool:
    return handler.fn.__module__.startswith("ringback.web.pages")


def test_endpoints() -> None:
    for handler in [one for one in ROUTES if not is_page(one)]:
        for path in handler.paths:
            methods = {method for method in handler.http_methods if method not in ("HEAD", "OPTIONS")}
            shown = re.escape(re.sub(r":\w+}", "}", path))
            assert any(re.search(rf"{method} {shown}/?`", API) for method in methods), path


def test_errors_fields_and_orders() -> None:
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    for word in {*codes - {"conflict"}, *_FIELDS, *ORDERS}:
        assert f"`{word}`" in API, word


def test_sources_and_columns() -> None:
    text = (ROOT / "docs" / "import.md").read_text("utf-8")
    for word in {*SOURCES, *EXPORTED}:
        assert f"`{word}`" in text, word


def test_links_and_pictures_are_there() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_readme_names_the_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE):
        assert f"\n{target}:" in makefile
