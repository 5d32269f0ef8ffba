"""`/settings`: a person's language and look, password, second factor and sessions; the account and its members."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import segno
from litestar import Response
from litestar.datastructures import State

from ringback.accounts import change_account
from ringback.db import Connection, Database
from ringback.errors import Conflict, InvalidParameter, NotFound
from ringback.links import local_url
from ringback.members import (
    ROLES,
    Member,
    add_member,
    create_reset,
    invite,
    list_members,
    memberships,
    remove_member,
    set_password,
    set_preferences,
    set_totp,
)
from ringback.passwords import is_password, new_totp_secret, totp_step, totp_uri
from ringback.sessions import (
    Session,
    end_other_sessions,
    end_session,
    forgive_tries,
    list_sessions,
    switch_account,
)
from ringback.web.auth import SESSION_COOKIE, client_address
from ringback.web.pages.access import (
    NAME_BAD,
    NO_EMAIL,
    NO_ZONE,
    WRONG_CODE,
    WRONG_PASSWORD,
    count_try,
    new_hash,
    open_session,
)
from ringback.web.pages.frame import (
    THEME_COOKIE,
    THEMES,
    FormError,
    PageRequest,
    cookie,
    form,
    language_of,
    page,
    read_form,
    render,
    see_other,
)
from ringback.web.pages.language import COOKIE, LANGUAGES, N_, translations

Page = Response[Any]

ROLE_NAMES = {
    "viewer": N_("Viewer: reads"),
    "member": N_("Member: also imports"),
    "manager": N_("Manager: also phones and keys"),
    "owner": N_("Owner: everything"),
}
LAST_OWNER = N_("This is the account's last owner; make somebody else an owner first.")
ELSEWHERE = N_("This person belongs to other accounts too; whoever runs the server can make the link.")


@page("/settings")
async def settings_page(request: PageRequest, state: State) -> Page:
    """All settings."""
    return await _show(request, state)


async def _show(request: PageRequest, state: State, error: FormError | None = None, link: str = "") -> Page:
    found: Session = request.state.session

    async def collect(connection: Connection) -> dict[str, Any]:
        return {
            "sessions": await list_sessions(connection, found.person.id),
            "members": await list_members(connection, found.account.id),
            "accounts": [account for account, _ in await memberships(connection, found.person.id)],
        }

    status = error.status if error else HTTPStatus.OK
    text = translations(language_of(request)).gettext
    roles = {role: text(name) for role, name in ROLE_NAMES.items()}
    collected = await state.database.read(collect)
    return render(request, "settings.html", status=status, error=error, link=link, roles=roles, **collected)


@form("/settings/look", "viewer")
async def change_look(request: PageRequest, state: State) -> Page:
    """Keep the person's language and theme."""
    found: Session = request.state.session
    fields = await read_form(request)
    language = fields.get("language") if fields.get("language") in LANGUAGES else None
    theme = fields.get("theme") if fields.get("theme") in THEMES else None
    await state.database.write(lambda c: set_preferences(c, found.person.id, language, theme))
    cookies = [cookie(request, COOKIE, language or ""), cookie(request, THEME_COOKIE, theme or "")]
    return see_other(request, "/settings", cookies=cookies)


@form("/settings/switch", "viewer")
async def switch(request: PageRequest, state: State) -> Page:
    """Go on in another account of the person."""
    found: Session = request.state.session
    chosen = (await read_form(request)).get("account", "")
    account_id = int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19 else 0
    await state.database.write(lambda c: switch_account(c, found.id, found.person.id, account_id))
    return see_other(request, "/")


@form("/settings/password", "viewer")
async def change_password(request: PageRequest, state: State) -> Page:
    """Choose another password; all other sessions end."""
    found: Session = request.state.session
    fields = await read_form(request)
    try:
        await _check_password(request, state, fields, "password")
        hash = await new_hash(fields.get("new_password", ""), "new_password")
    except FormError as error:
        return await _show(request, state, error)
    await state.database.write(lambda c: set_password(c, found.person.id, hash))
    new = await open_session(request, state, found.person.id, found.account.id)
    return see_other(request, "/settings", cookies=[new])


async def _check_password(request: PageRequest, state: State, fields: dict[str, str], field: str) -> None:
    """Raise FormError where it is not the person's password; a stolen session must not try many."""
    person = request.state.session.person
    address = client_address(request, state.settings.trusted_proxies)
    await count_try(state.database, person.email, address, field)
    if not await is_password(fields.get(field, ""), person.password_hash):
        raise FormError(WRONG_PASSWORD, field)
    await state.database.write(lambda c: forgive_tries(c, person.email, address))


@page("/settings/two-factor")
async def two_factor_page(request: PageRequest) -> Page:
    """The QR code for an authenticator app."""
    return _two_factor(request, new_totp_secret())


def _two_factor(request: PageRequest, secret: str, error: FormError | None = None) -> Page:
    uri = totp_uri(secret, request.state.session.person.email)
    picture = segno.make(uri, micro=False).svg_data_uri(scale=5, border=3, light="#fff")
    status = error.status if error else HTTPStatus.OK
    return render(request, "two_factor.html", status=status, secret=secret, picture=picture, error=error)


@form("/settings/two-factor", "viewer")
async def turn_on_two_factor(request: PageRequest, state: State) -> Page:
    """Keep the secret once a code shows that the app has it."""
    found: Session = request.state.session
    fields = await read_form(request)
    secret = fields.get("secret", "")
    try:
        step = totp_step(secret, fields.get("code", ""), None)
    except ValueError:  # the secret is no base32
        return see_other(request, "/settings/two-factor")
    if step is None:
        return _two_factor(request, secret, FormError(WRONG_CODE, "code"))

    async def turn_on(connection: Connection) -> None:
        await set_totp(connection, found.person.id, secret, step)
        await end_other_sessions(connection, found.person.id, found.id)

    await state.database.write(turn_on)
    return see_other(request, "/settings")


@form("/settings/two-factor/off", "viewer")
async def turn_off_two_factor(request: PageRequest, state: State) -> Page:
    """Go back to the password alone."""
    found: Session = request.state.session
    try:
        await _check_password(request, state, await read_form(request), "off_password")
    except FormError as error:
        return await _show(request, state, error)
    await state.database.write(lambda c: set_totp(c, found.person.id, None, None))
    return see_other(request, "/settings")


@form("/settings/sessions/{session_id:str}/end", "viewer")
async def end_one_session(request: PageRequest, state: State, session_id: str) -> Page:
    """End one of the person's sessions, this one too."""
    found: Session = request.state.session
    await state.database.write(lambda c: end_session(c, found.person.id, session_id))
    if session_id == found.id:
        return see_other(request, "/login", cookies=[cookie(request, SESSION_COOKIE, "", max_age=0)])
    return see_other(request, "/settings")


@form("/settings/account", "owner")
async def change_the_account(request: PageRequest, state: State) -> Page:
    """Give the account another name, time zone or language."""
    found: Session = request.state.session
    fields = await read_form(request)
    language = fields.get("account_language") if fields.get("account_language") in LANGUAGES else None
    name, time_zone = fields.get("name", ""), fields.get("time_zone", "")
    try:
        await state.database.write(lambda c: change_account(c, found.account.id, name, time_zone, language))
    except Conflict:
        return await _show(request, state, FormError(N_("There is an account of that name already."), "name"))
    except InvalidParameter as error:
        is_zone = "time zone" in error.detail
        wrong = FormError(NO_ZONE, "time_zone") if is_zone else FormError(NAME_BAD, "name")
        return await _show(request, state, wrong)
    return see_other(request, "/settings")


@form("/settings/members", "owner")
async def invite_member(request: PageRequest, state: State) -> Page:
    """Show the link by which somebody becomes a member, once."""
    found: Session = request.state.session
    fields = await read_form(request)
    role = fields.get("role", "")

    async def make(connection: Connection) -> str:
        secret = await invite(
            connection, found.account.id, fields.get("email", ""), role if role in ROLES else "viewer"
        )
        return f"{await local_url(connection)}/invite/{secret}"

    try:
        link = await state.database.write(make)
    except InvalidParameter:
        return await _show(request, state, FormError(NO_EMAIL, "email"))
    return await _show(request, state, link=link)


@form("/settings/members/{person_id:int}/role", "owner")
async def change_role(request: PageRequest, state: State, person_id: int) -> Page:
    """Give a member another role."""
    found: Session = request.state.session
    role = (await read_form(request)).get("role", "")

    async def change(connection: Connection) -> None:
        await _member(connection, found, person_id)
        await add_member(connection, found.account.id, person_id, role)

    return await _change_members(request, state, change)


@form("/settings/members/{person_id:int}/remove", "owner")
async def end_membership(request: PageRequest, state: State, person_id: int) -> Page:
    """Remove a member."""
    account_id = request.state.account.id
    return await _change_members(request, state, lambda c: remove_member(c, account_id, person_id))


async def _change_members(request: PageRequest, state: State, change: Any) -> Page:
    database: Database = state.database
    try:
        await database.write(change)
    except Conflict:
        return await _show(request, state, FormError(LAST_OWNER, "members", HTTPStatus.CONFLICT))
    return see_other(request, "/settings")


@form("/settings/members/{person_id:int}/reset", "owner")
async def reset_member(request: PageRequest, state: State, person_id: int) -> Page:
    """Show a link by which a member chooses a new password, once.

    Not of somebody who belongs to other accounts: an owner of this one could sign in to those.
    """
    found: Session = request.state.session

    async def make(connection: Connection) -> str:
        member = await _member(connection, found, person_id)
        if len(await memberships(connection, person_id)) > 1:
            raise Conflict("This person belongs to other accounts too.")
        return f"{await local_url(connection)}/reset/{await create_reset(connection, member.email)}"

    try:
        link = await state.database.write(make)
    except Conflict:
        return await _show(request, state, FormError(ELSEWHERE, "members", HTTPStatus.CONFLICT))
    return await _show(request, state, link=link)


async def _member(connection: Connection, found: Session, person_id: int) -> Member:
    for member in await list_members(connection, found.account.id):
        if member.person_id == person_id:
            return member
    raise NotFound("There is no such member.")
