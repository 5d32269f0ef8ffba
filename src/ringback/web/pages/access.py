"""Coming in: the set-up link, login with a second factor, invitations, new passwords, and out again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie, State

from ringback.accounts import Account, create_account, list_accounts
from ringback.db import Connection, Database
from ringback.errors import Conflict, Forbidden, InvalidParameter, NotFound, RateLimited
from ringback.members import (
    INVITE,
    LOGIN,
    RESET,
    SETUP,
    Link,
    Person,
    add_member,
    create_person,
    find_link,
    find_person,
    has_people,
    memberships,
    set_password,
    use_link,
    use_totp_step,
)
from ringback.passwords import LONGEST, hash_password, is_password, totp_step
from ringback.sessions import SESSION_MS, Session, create_session, end_session, find_session, forgive_tries, note_try
from ringback.web.auth import SESSION_COOKIE, client_address
from ringback.web.pages.frame import (
    FormError,
    PageRequest,
    cookie,
    form,
    own_path,
    public_form,
    public_page,
    read_form,
    render,
    see_other,
)
from ringback.web.pages.language import N_

Page = Response[Any]

WRONG = N_("The e-mail address or the password is wrong.")
WRONG_CODE = N_("The code is wrong or was used already; wait for the next one.")
TOO_LONG = N_("The password must have at most 1,000 characters.")
TOO_SHORT = N_("The password must have at least 10 characters.")
NO_EMAIL = N_("An e-mail address looks like name@example.org.")
TOO_MANY = N_("Too many tries. Wait a quarter of an hour, then try again.")
NAME_TAKEN = N_("There is an account of that name already; choose it from the list, or take another name.")
NO_ZONE = N_("There is no such time zone.")
WRONG_PASSWORD = N_("The password is wrong.")
NAME_BAD = N_("A name must have 1 to 100 characters, and no control characters.")


@public_page("/login")
async def login_page(request: PageRequest, state: State) -> Page:
    """The form to sign in; the one for the code where only that is missing."""
    waiting = await _session(request, state)
    if waiting and waiting.verified:
        return see_other(request, own_path(request.query_params.get("next", "/")))
    return _login_form(request, waiting, {"next": request.query_params.get("next", "")})


@public_form("/login")
async def log_in(request: PageRequest, state: State) -> Page:
    """Sign in by password, or finish by a code."""
    fields = await read_form(request)
    waiting = await _session(request, state)
    try:
        if waiting and not waiting.verified and "code" in fields:
            return await _finish(request, state, waiting, fields)
        return await _begin(request, state, fields)
    except FormError as error:
        return _login_form(request, waiting if "code" in fields else None, fields, error)


async def _begin(request: PageRequest, state: State, fields: dict[str, str]) -> Page:
    database: Database = state.database
    email, address = fields.get("email", ""), _address(request, state)
    await count_try(database, email, address)
    person = await database.read(lambda c: find_person(c, email))
    if not await is_password(fields.get("password", ""), person.password_hash if person else None) or person is None:
        raise FormError(WRONG, "email", HTTPStatus.FORBIDDEN)
    accounts = await database.read(lambda c: memberships(c, person.id))
    if not accounts:
        raise FormError(WRONG, "email", HTTPStatus.FORBIDDEN)
    verified = person.totp_secret is None
    if verified:
        await database.write(lambda c: forgive_tries(c, email, address))
    new = await open_session(request, state, person.id, accounts[0][0].id, verified=verified)
    target = own_path(fields.get("next", ""))
    return see_other(request, target if verified else f"/login?next={quote(target, safe='/')}", cookies=[new])


async def _finish(request: PageRequest, state: State, waiting: Session, fields: dict[str, str]) -> Page:
    database: Database = state.database
    person, address = waiting.person, _address(request, state)
    await count_try(database, person.email, address)
    step = totp_step(person.totp_secret or "", fields["code"], person.totp_step) if person.totp_secret else 0
    if step is None or (step and not await database.write(lambda c: use_totp_step(c, person.id, step))):
        raise FormError(WRONG_CODE, "code", HTTPStatus.FORBIDDEN)

    async def clear(connection: Connection) -> None:
        await forgive_tries(connection, person.email, address)
        await end_session(connection, person.id, waiting.id)

    await database.write(clear)
    new = await open_session(request, state, person.id, waiting.account.id)
    return see_other(request, own_path(fields.get("next", "")), cookies=[new])


async def count_try(database: Database, email: str, address: str, field: str = "email") -> None:
    """Count a try of a password or code before it is judged. Raises FormError after too many."""
    try:
        await database.write(lambda c: note_try(c, email, address))
    except RateLimited:
        raise FormError(TOO_MANY, field, HTTPStatus.TOO_MANY_REQUESTS) from None


def _login_form(
    request: PageRequest, waiting: Session | None, fields: dict[str, str], error: FormError | None = None
) -> Page:
    needs_code = waiting is not None and not waiting.verified
    shown = {name: value for name, value in fields.items() if name != "password"}
    headers = {"Retry-After": "900"} if error and error.status == HTTPStatus.TOO_MANY_REQUESTS else {}
    status = error.status if error else HTTPStatus.OK
    return render(request, "login.html", status=status, headers=headers, form=shown, error=error, needs_code=needs_code)


@form("/logout", "viewer")
async def log_out(request: PageRequest, state: State) -> Page:
    """End the session."""
    found: Session = request.state.session
    await state.database.write(lambda c: end_session(c, found.person.id, found.id))
    return see_other(request, "/login", cookies=[cookie(request, SESSION_COOKIE, "", max_age=0)])


@public_page("/login/{secret:str}")
async def login_link(request: PageRequest, state: State, secret: str) -> Page:
    """Log in once, by a link that `ringback demo` printed."""

    async def use(connection: Connection) -> tuple[Person, Account]:
        link = await use_link(connection, LOGIN, secret)
        person = await find_person(connection, link.email or "")
        if person is None:
            raise NotFound("Whom this link was for is no member any more.")
        return person, (await memberships(connection, person.id))[0][0]

    person, account = await state.database.write(use)
    return see_other(request, "/", cookies=[await open_session(request, state, person.id, account.id)])


@public_page("/setup/{secret:str}")
async def setup_page(request: PageRequest, state: State, secret: str) -> Page:
    """The first person's form."""
    await state.database.read(lambda c: _check_setup(c, secret))
    return await _setup_form(request, state, {})


@public_form("/setup/{secret:str}")
async def set_up(request: PageRequest, state: State, secret: str) -> Page:
    """Make the first person, and the account or the choice of one."""
    fields = await read_form(request)
    try:
        hash = await new_hash(fields.get("password", ""), "password")

        async def make(connection: Connection) -> tuple[int, int]:
            await _check_setup(connection, secret)
            await use_link(connection, SETUP, secret)
            person = await _create_person(connection, fields.get("email", ""), hash)
            account = await _choose_account(connection, fields)
            await add_member(connection, account.id, person.id, "owner")
            return person.id, account.id

        person_id, account_id = await state.database.write(make)
    except FormError as error:
        await state.database.read(lambda c: _check_setup(c, secret))
        return await _setup_form(request, state, fields, error)
    return see_other(request, "/", cookies=[await open_session(request, state, person_id, account_id)])


async def _check_setup(connection: Connection, secret: str) -> None:
    """Raise NotFound or Forbidden where nothing is to be set up by this link."""
    await find_link(connection, SETUP, secret)
    if await has_people(connection):
        raise Forbidden("This server is set up already; sign in.")


async def _setup_form(
    request: PageRequest, state: State, fields: dict[str, str], error: FormError | None = None
) -> Page:
    accounts = await state.database.read(list_accounts)
    shown = {name: value for name, value in fields.items() if name != "password"}
    return render(
        request,
        "setup.html",
        status=error.status if error else HTTPStatus.OK,
        accounts=accounts,
        form=shown,
        error=error,
    )


async def _choose_account(connection: Connection, fields: dict[str, str]) -> Account:
    chosen = fields.get("account", "")
    for account in await list_accounts(connection):
        if chosen and str(account.id) == chosen:
            return account
    zone = fields.get("time_zone") or "UTC"
    try:
        return await create_account(connection, fields.get("name", ""), time_zone=zone)
    except Conflict:
        raise FormError(NAME_TAKEN, "name") from None
    except InvalidParameter as error:
        field = "time_zone" if "time zone" in error.detail else "name"
        raise FormError(NO_ZONE if field == "time_zone" else NAME_BAD, field) from None


@public_page("/invite/{secret:str}")
async def invite_page(request: PageRequest, state: State, secret: str) -> Page:
    """Who was invited takes it up."""
    link = await state.database.read(lambda c: find_link(c, INVITE, secret))
    return await _invite_form(request, state, link)


@public_form("/invite/{secret:str}")
async def accept_invite(request: PageRequest, state: State, secret: str) -> Page:
    """Become a member: with a new password, or with the one that the person has."""
    database: Database = state.database
    fields = await read_form(request)
    link = await database.read(lambda c: find_link(c, INVITE, secret))
    person = await database.read(lambda c: find_person(c, link.email or ""))
    try:
        if person:
            await count_try(database, person.email, _address(request, state))
            if not await is_password(fields.get("password", ""), person.password_hash):
                raise FormError(WRONG_PASSWORD, "password", HTTPStatus.FORBIDDEN)
        hash = "" if person else await new_hash(fields.get("password", ""), "password")

        async def accept(connection: Connection) -> tuple[int, int]:
            used = await use_link(connection, INVITE, secret)
            member = person or await _create_person(connection, used.email or "", hash)
            assert used.account_id is not None
            await add_member(connection, used.account_id, member.id, used.role or "viewer")
            await forgive_tries(connection, member.email, _address(request, state))
            return member.id, used.account_id

        person_id, account_id = await database.write(accept)
    except FormError as error:
        return await _invite_form(request, state, link, error)
    if person and person.totp_secret:
        new = await open_session(request, state, person_id, account_id, verified=False)
        return see_other(request, "/login", cookies=[new])
    return see_other(request, "/", cookies=[await open_session(request, state, person_id, account_id)])


async def _invite_form(request: PageRequest, state: State, link: Link, error: FormError | None = None) -> Page:
    async def find(connection: Connection) -> tuple[str, bool]:
        accounts = {account.id: account.name for account in await list_accounts(connection)}
        return accounts[link.account_id or 0], await find_person(connection, link.email or "") is not None

    name, known = await state.database.read(find)
    return render(
        request, "invite.html", status=error.status if error else HTTPStatus.OK, link=link, account=name, known=known,
        error=error,
    )  # fmt: skip


@public_page("/reset/{secret:str}")
async def reset_page(request: PageRequest, state: State, secret: str) -> Page:
    """The form for a new password."""
    link = await state.database.read(lambda c: find_link(c, RESET, secret))
    return render(request, "reset.html", link=link)


@public_form("/reset/{secret:str}")
async def reset(request: PageRequest, state: State, secret: str) -> Page:
    """Choose a new password; all sessions end, and a second factor stays."""
    fields = await read_form(request)
    link = await state.database.read(lambda c: find_link(c, RESET, secret))
    try:
        hash = await new_hash(fields.get("password", ""), "password")
    except FormError as error:
        return render(request, "reset.html", status=error.status, link=link, error=error)

    async def change(connection: Connection) -> None:
        used = await use_link(connection, RESET, secret)
        person = await find_person(connection, used.email or "")
        if person is None:
            raise NotFound("Whom this link was for is no member any more.")
        await set_password(connection, person.id, hash)

    await state.database.write(change)
    return see_other(request, "/login")


async def _session(request: PageRequest, state: State) -> Session | None:
    secret = request.cookies.get(SESSION_COOKIE, "")
    found: Session | None = await state.database.read(lambda c: find_session(c, secret)) if secret else None
    return found


async def open_session(
    request: PageRequest, state: State, person_id: int, account_id: int, *, verified: bool = True
) -> Cookie:
    """The cookie of a new session."""
    browser, address = request.headers.get("user-agent", ""), _address(request, state)
    secret = await state.database.write(
        lambda c: create_session(c, person_id, account_id, browser, address, verified=verified)
    )
    return cookie(request, SESSION_COOKIE, secret, max_age=SESSION_MS // 1_000)


def _address(request: PageRequest, state: State) -> str:
    return client_address(request, state.settings.trusted_proxies)


async def new_hash(password: str, field: str) -> str:
    """What is kept of a new password. Raises FormError."""
    try:
        return await hash_password(password)
    except InvalidParameter:
        raise FormError(TOO_LONG if len(password) > LONGEST else TOO_SHORT, field) from None


async def _create_person(connection: Connection, email: str, hash: str) -> Person:
    try:
        return await create_person(connection, email, hash)
    except InvalidParameter:
        raise FormError(NO_EMAIL, "email") from None
