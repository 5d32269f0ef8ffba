"""`/settings`: the person's language and theme, sessions and second factor; the account and its members."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.datastructures import State

from ringback.members import set_preferences
from ringback.sessions import Session
from ringback.web.pages.frame import (
    THEME_COOKIE,
    THEMES,
    PageRequest,
    cookie,
    form,
    page,
    read_form,
    render,
    see_other,
)
from ringback.web.pages.language import COOKIE, LANGUAGES

Page = Response[Any]


@page("/settings")
async def settings_page(request: PageRequest) -> Page:
    """All settings."""
    return render(request, "settings.html")


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
