"""The two databases: migrations, what is refused, transactions that share a commit."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from ringback.accounts import create_account, list_accounts
from ringback.db import Connection, open_database
from ringback.db.migrate import newest_version
from ringback.errors import Conflict
from service import in_thread, on_database, run


def test_migrate_makes_the_database_once(database_url: str) -> None:
    for _ in range(2):
        assert run("migrate", RINGBACK_DATABASE_URL=database_url).returncode == 0
    versions = on_database(database_url, lambda c: c.fetch("select version from schema_versions order by version"))
    assert [row[0] for row in versions] == list(range(1, newest_version() + 1))


def test_many_starts_at_once_migrate_once(database_url: str) -> None:
    async def open_and_close() -> None:
        database = await open_database(database_url)
        await database.close()

    async def together() -> None:
        await asyncio.gather(*(open_and_close() for _ in range(6)))

    in_thread(together())
    assert len(on_database(database_url, lambda c: c.fetch("select * from installation"))) == 1


def test_newer_database_is_refused(database_url: str) -> None:
    on_database(database_url, lambda c: c.execute("insert into schema_versions (version) values (9999)"))
    result = run("migrate", RINGBACK_DATABASE_URL=database_url)
    assert result.returncode == 1
    assert result.stderr == (
        "ringback: The database was made by a newer Ringback (its schema is 9999, this program's "
        f"{newest_version()}); update Ringback.\n"
    )


def test_writes_share_a_commit_and_fail_alone(database_url: str) -> None:
    async def fill() -> list[object]:
        database = await open_database(database_url)
        account = await database.write(lambda c: create_account(c, "one"))

        def add(name: str) -> object:
            return database.write(lambda c: create_account(c, name), account.id)

        names = ["a", "b", "one", "c", "", "d"]
        outcomes = await asyncio.gather(*(add(name) for name in names), return_exceptions=True)  # type: ignore[call-overload]
        await database.close()
        return list(outcomes)

    outcomes = in_thread(fill())
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, False, True, False, True, False]
    assert isinstance(outcomes[2], Conflict)
    names = {account.name for account in on_database(database_url, list_accounts)}
    assert names == {"one", "a", "b", "c", "d"}


def test_failed_work_leaves_nothing(database_url: str) -> None:
    async def fail(connection: Connection) -> None:
        await create_account(connection, "lost")
        raise Conflict("no")

    with pytest.raises(Conflict):
        on_database(database_url, fail)
    assert on_database(database_url, list_accounts) == []


def _refused(url: str) -> str:
    result = run("account", "list", RINGBACK_DATABASE_URL=url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.db"
    text.write_text("This is no database. " * 100)
    assert "is no database of Ringback; name another file" in _refused(f"sqlite:///{text}")
    assert text.read_text() == "This is no database. " * 100
    assert "is a folder; name a file in it" in _refused(f"sqlite:///{tmp_path}")
    assert "can't be opened for writing" in _refused(f"sqlite:///{text}/ringback.db")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    import apsw

    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("create table photos (id integer)")
    other.close()
    assert "is a database of another program" in _refused(f"sqlite:///{tmp_path}/other.db")


def test_folder_that_an_ordinary_user_may_not_write(tmp_path: Path) -> None:
    if os.geteuid():
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
    else:
        closed = Path("/proc")  # root may write everywhere else
    assert "can't be opened for writing" in _refused(f"sqlite:///{closed}/ringback/ringback.db")


def test_postgresql_that_is_away_or_refuses(postgresql_url: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert "PostgreSQL can't be reached" in _refused(f"postgresql://ringback@127.0.0.1:{port}/x")
    assert "PostgreSQL refuses the database's address" in _refused(postgresql_url.replace("/postgres", "/missing"))


def test_database_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "ringback.db"
    assert run("migrate", RINGBACK_DATA_DIR=str(file.parent)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
