"""A demo account: 90 days of believable calls of three phones.

One reports all the time, one fell silent three days ago, of one there is a backup file, read in as any other.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import quoteattr
from zoneinfo import ZoneInfo

from ringback.accounts import Account, create_account, find_account
from ringback.db import Connection, Database
from ringback.devices import create_device_token, import_device
from ringback.errors import NotFound
from ringback.imports import import_file
from ringback.keys import create_key, list_keys, revoke_key
from ringback.members import LOGIN, add_member, create_link, create_person, find_person
from ringback.passwords import hash_password
from ringback.sources.reading import Options
from ringback.times import DAY_MS, zone

ACCOUNT: Final = "demo"
EMAIL: Final = "demo@example.org"
ZONE: Final = "Europe/Brussels"
DAYS: Final = 90


class Phone(NamedTuple):
    """A phone of the demo: how busy it is, and its SIM cards."""

    name: str
    calls_a_day: int
    sims: tuple[str, ...]


REPORTS: Final = Phone("Front desk", 22, ("1",))
SILENT: Final = Phone("Van", 7, ("1", "2"))
IMPORTED: Final = Phone("Old phone", 4, ("1",))
SILENT_DAYS: Final = 3

# Numbers of the ranges that regulators keep free for films and examples.
PEOPLE: Final = (
    ("+32 460 00 01 11", "Boulangerie Dupont"),
    ("+32460000112", "Anke Vermeulen"),
    ("+12025550143", "John Doe"),
    ("+1 (202) 555-0172", "Mary O’Brien"),
    ("+33199001234", "Zoé Lefèvre 🥐"),
    ("+84900000001", "Nguyễn Thị Hồng"),
    ("+84 90 000 0002", "Trần Văn Đức"),
    ("+441632960123", "Priya Sharma (प्रिया)"),
    ("+441632960777", None),
    ("+8613800000000", "张伟"),
    ("+81300000000", "田中さくら"),
    ("+966500000000", "محمد العتيبي"),
    ("+97233000000", "יעל כהן"),
    ("+79000000000", "Ольга Иванова"),
    ("+302100000000", "Γιώργος Παπαδόπουλος"),
    ("+4915200000000", "Jürgen Groß & Söhne"),
    ("+32 2 000 00 00", None),
    ("0460 00 05 55", None),
    ("+32460000777", 'Garage "De Wissel"'),
    ("+31970000000", None),
)
SHORT_CODES: Final = ("1919", "8810", "*121#")
HIDDEN: Final = (("", "2"), ("-2", "1"), ("", "3"))
"""Callers that hide, as number and presentation, new and old."""


class DemoCall(NamedTuple):
    """A row of a phone's log."""

    at: datetime
    number: str
    presentation: str
    name: str | None
    type: int
    duration: int
    sim: str


class Demo(NamedTuple):
    """How to come in: a key, the secret of a link that logs in once, and the tokens of the two phones."""

    account_id: int
    key: str
    login: str
    reporting_token: str
    silent_token: str


async def fill(database: Database, now: datetime) -> Demo:
    """Bring the demo account up to date; its key and login are new. The calls of a day are the same each time."""
    account = await database.write(_find_or_create)
    with TemporaryDirectory(prefix="ringback-demo-") as folder:
        file = Path(folder) / "calls.xml"
        file.write_text(backup(calls_of(IMPORTED, now)), "utf-8")
        await _import(database, account, IMPORTED, file)
    password_hash = await hash_password(secrets.token_urlsafe(24))  # nobody knows it: people come in by the link
    return await database.write(lambda connection: _open_doors(connection, account.id, password_hash))


async def _find_or_create(connection: Connection) -> Account:
    try:
        return await find_account(connection, ACCOUNT)
    except NotFound:
        return await create_account(connection, ACCOUNT, time_zone=ZONE)


async def _import(database: Database, account: Account, phone: Phone, file: Path) -> None:
    options = Options(zone(account.time_zone), {})
    await import_file(database, account.id, file, options, device=phone.name)


async def _open_doors(connection: Connection, account_id: int, password_hash: str) -> Demo:
    person = await find_person(connection, EMAIL) or await create_person(connection, EMAIL, password_hash)
    await add_member(connection, account_id, person.id, "owner")
    return Demo(
        account_id,
        await _renew_key(connection, account_id),
        await create_link(connection, LOGIN, email=EMAIL),
        await _renew_token(connection, account_id, REPORTS),
        await _renew_token(connection, account_id, SILENT),
    )


async def _renew_token(connection: Connection, account_id: int, phone: Phone) -> str:
    device = await import_device(connection, account_id, phone.name)
    return await create_device_token(connection, account_id, device.number)


async def fall_silent(connection: Connection, account_id: int) -> None:
    """Set the silent phone's last contact three days back."""
    back_ms = SILENT_DAYS * DAY_MS
    await connection.execute(
        "update devices set last_seen_ms = last_seen_ms - $3, contact_ms = contact_ms - $3,"
        " synced_through_ms = synced_through_ms - $3, intervals = null where account_id = $1 and name = $2",
        account_id, SILENT.name, back_ms,
    )  # fmt: skip


async def _renew_key(connection: Connection, account_id: int) -> str:
    for key in await list_keys(connection, account_id):
        if key.name == ACCOUNT and key.revoked_ms is None:
            await revoke_key(connection, key.id)
    return await create_key(connection, account_id, ACCOUNT)


def calls_of(phone: Phone, now: datetime) -> list[DemoCall]:
    """The phone's calls of the last days up to now, oldest first."""
    today = now.astimezone(ZoneInfo(ZONE)).date()
    days = (today - timedelta(days=back) for back in range(DAYS, -1, -1))
    return [call for day in days for call in _calls_of_day(phone, day) if call.at <= now]


def _calls_of_day(phone: Phone, day: date) -> Iterator[DemoCall]:
    generator = random.Random(f"{phone.name} {day}")
    quiet = 0.25 if day.isoweekday() > 5 else 1.0
    count = round(phone.calls_a_day * quiet * generator.uniform(0.6, 1.4))
    minutes = sorted(int(generator.triangular(7 * 60, 21 * 60, 11 * 60)) for _ in range(count))
    for minute in minutes:
        second = minute * 60 + generator.randrange(60)
        at = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)) + timedelta(
            seconds=second, milliseconds=generator.randrange(1_000)
        )
        yield _call(generator, at, generator.choice(phone.sims))


def _call(generator: random.Random, at: datetime, sim: str) -> DemoCall:
    number, name = generator.choice(PEOPLE)
    presentation = "1"
    type = generator.choices((1, 2, 3, 5, 6, 4, 7), (42, 30, 20, 3, 2, 2, 1))[0]
    if type == 2 and generator.random() < 0.08:
        number, name = generator.choice(SHORT_CODES), None
    elif type in (1, 3) and generator.random() < 0.07:
        (number, presentation), name = generator.choice(HIDDEN), None
    talked = type in (1, 4, 7) or (type == 2 and generator.random() < 0.75)
    duration = int(generator.lognormvariate(4.3, 1.0)) + 3 if talked else 0
    return DemoCall(at, number, presentation, name, type, duration, sim)


def backup(calls: list[DemoCall]) -> str:
    """The calls as SMS Backup & Restore writes them, emoji as references to their halves included."""
    lines = ["<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>", f'<calls count="{len(calls)}">']
    for call in calls:
        attributes: dict[str, Any] = {
            "number": call.number,
            "duration": call.duration,
            "date": int(call.at.timestamp() * 1_000),
            "type": call.type,
            "presentation": call.presentation,
            "subscription_id": call.sim,
            "contact_name": call.name or "(Unknown)",
        }
        text = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items())
        lines.append(f"  <call {_with_halves(text)} />")
    return "\n".join([*lines, "</calls>\n"])


def _with_halves(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(
        f"&#{unit};" if 0xD800 <= unit <= 0xDFFF else chr(unit)
        for unit in (int.from_bytes(units[place : place + 2], "big") for place in range(0, len(units), 2))
    )
