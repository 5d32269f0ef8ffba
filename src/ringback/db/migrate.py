"""Numbered SQL files brought to a database in their order, each once, all or none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from ringback.db import Connection
from ringback.errors import Conflict


@cache
def _scripts() -> dict[int, str]:
    """The SQL of each migration by its number, from `migrations/0001_name.sql` and so on."""
    folder = files("ringback.db") / "migrations"
    return {int(f.name[:4]): f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".sql")}


def newest_version() -> int:
    """The version of the schema that this program works with."""
    return max(_scripts())


async def schema_version(connection: Connection) -> int:
    """The version of the database's schema. It must have been migrated once."""
    row = await connection.fetch_one("select max(version) from schema_versions")
    return (row and row[0]) or 0


async def migrate(connection: Connection, types: Mapping[str, str]) -> None:
    """Run the migrations that the database lacks, in a transaction that holds a lock against others.

    `types` gives the engine's words for the placeholders in the files. Raises Conflict where a newer program made it.
    """
    await connection.execute("create table if not exists schema_versions (version bigint primary key)")
    version = await schema_version(connection)
    check_not_newer(version)
    for number in sorted(number for number in _scripts() if number > version):
        await connection.execute(_scripts()[number].format_map(types))
        await connection.execute("insert into schema_versions (version) values ($1)", number)
    if version == 0:
        await connection.execute(
            "insert into installation (only_row, history, secret, last_account) values (1, $1, $2, 0)",
            secrets.token_hex(8),
            secrets.token_hex(32),
        )


def check_not_newer(version: int) -> None:
    """Raise Conflict where the schema is newer than this program."""
    if version > newest_version():
        raise Conflict(
            f"The database was made by a newer Ringback (its schema is {version}, this program's {newest_version()});"
            " update Ringback."
        )
