"""Accounts, keys and devices on the command line, on both databases."""

from __future__ import annotations

import csv
import io
import re

import pytest

from ringback.keys import key_account
from service import Shell, on_database


@pytest.fixture
def shell(database_url: str) -> Shell:
    return Shell(database_url)


def test_accounts(shell: Shell) -> None:
    shell.ok("account", "create", "shop", "--email", "a@example.com", "--until", "2027-01-31")
    shell.ok("account", "create", "Tiệm Phở", "--time-zone", "Asia/Ho_Chi_Minh")
    shop, pho = shell.json("account", "list")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shop.pop("created_at"))
    assert shop == {"id": 1, "name": "shop", "email": "a@example.com", "until": "2027-01-31", "time_zone": "UTC"}
    assert (pho["name"], pho["time_zone"], pho["until"]) == ("Tiệm Phở", "Asia/Ho_Chi_Minh", None)

    shell.ok("account", "set-until", "shop", "never")
    [shown] = shell.json("account", "show", "shop")
    assert (shown["until"], shown["keys"], shown["devices"]) == (None, 0, 0)

    shell.ok("key", "create", "--account", "shop")
    shell.ok("account", "delete", "shop")
    assert [row["name"] for row in csv.DictReader(io.StringIO(shell.ok("account", "list", "--format", "csv")))] == [
        "Tiệm Phở"
    ]
    assert "Tiệm Phở" in shell.ok("account", "list")


def test_accounts_that_are_refused(shell: Shell) -> None:
    shell.ok("account", "create", "shop")
    assert "already" in shell.refused(1, "account", "create", "shop")
    assert "1 to 100" in shell.refused(2, "account", "create", " ")
    assert "1 to 100" in shell.refused(2, "account", "create", "x" * 101)
    assert "control characters" in shell.refused(2, "account", "create", "a\tb")
    assert "--until must be" in shell.refused(2, "account", "create", "b", "--until", "2026-02-30")
    assert "no such time zone" in shell.refused(2, "account", "create", "b", "--time-zone", "Mars/Base")
    assert "no account of that name" in shell.refused(1, "account", "show", "b")
    assert "--until must be" in shell.refused(2, "account", "set-until", "shop", "soon")


def test_keys(shell: Shell) -> None:
    shell.ok("account", "create", "shop")
    printed = shell.ok("key", "create", "--account", "shop", "--name", "crm")
    assert re.fullmatch(r"rbk_1_[a-z2-7]{32}\n", printed)
    key = printed.strip()
    [listed] = shell.json("key", "list", "--account", "shop")
    assert (listed["id"], listed["name"], listed["revoked_at"]) == ("k1-1", "crm", None)
    kept = on_database(shell.url, lambda c: c.fetch("select * from keys"))
    assert key.rpartition("_")[2] not in repr([tuple(row) for row in kept])
    assert on_database(shell.url, lambda c: key_account(c, key)) is not None

    shell.ok("key", "revoke", "k1-1")
    assert on_database(shell.url, lambda c: key_account(c, key)) is None
    assert shell.json("key", "list", "--account", "shop")[0]["revoked_at"] is not None
    for unknown in ("k1-2", "k9-1", "nonsense", "k1-" + "9" * 18):
        assert "no key of that id" in shell.refused(1, "key", "revoke", unknown)


def test_devices(shell: Shell) -> None:
    shell.ok("account", "create", "shop")
    token = shell.ok("device", "create", "--account", "shop", "--name", "front desk")
    assert re.fullmatch(r"rbd_1_[a-z2-7]{32}\n", token)
    assert "already" in shell.refused(1, "device", "create", "--account", "shop", "--name", "front desk")
    shell.ok("device", "create", "--account", "shop", "--name", "van")
    shell.ok("device", "rename", "--account", "shop", "--name", "van", "lorry")
    assert "already" in shell.refused(1, "device", "rename", "--account", "shop", "--name", "lorry", "front desk")
    shell.ok("device", "revoke", "--account", "shop", "--name", "front desk")
    listed = shell.json("device", "list", "--account", "shop")
    assert [(device["id"], device["name"], device["status"], device["last_seen"]) for device in listed] == [
        ("d1-1", "front desk", "revoked", None),
        ("d1-2", "lorry", "never", None),
    ]
    assert "no device of that name" in shell.refused(1, "device", "revoke", "--account", "shop", "--name", "van")
