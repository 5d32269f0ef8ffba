"""What all pages share: language, layout, headers, forms, and errors as pages."""

from __future__ import annotations

import hashlib
import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import HttpMethod, Request, Response, post, route
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from ringback.errors import InvalidParameter, PayloadTooLarge
from ringback.members import may
from ringback.sessions import Session
from ringback.text import is_storable, trim
from ringback.web.auth import FORM, is_from_proxy, session
from ringback.web.pages import formats
from ringback.web.pages.language import COOKIE, LANGUAGES, N_, choose, locale, translations

PageRequest = Request[Any, Any, Any]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language, HX-Request",
}
THEME_COOKIE: Final = "ringback_theme"
THEMES: Final = ("light", "dark")
YEAR_S: Final = 365 * 86_400

NOT_PAGES: Final = (
    "/call",
    "/gateway",
    "/v1",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/agent.pyz",
    "/static",
)
"""Addresses of programs: their errors are no pages."""

LARGEST_FORM: Final = 100_000

NAVIGATION: Final = (
    ("/", N_("Overview"), "o", "viewer"),
    ("/calls", N_("Calls"), "c", "viewer"),
    ("/phones", N_("Phones"), "p", "viewer"),
    ("/imports", N_("Imports"), "i", "viewer"),
    ("/webhooks", N_("Webhooks"), "w", "manager"),
    ("/developers", N_("Developers"), "d", "viewer"),
    ("/settings", N_("Settings"), "s", "viewer"),
)
"""Address, name and key of each page that the bar on top leads to, and the role that it is for."""

SENTENCES: Final = {
    "api_expired": N_("This account's plan has ended, so its calls are not shown. Ask whoever runs the server."),
    "invalid_parameter": N_("Something in the address or the form can't be read. Go back and check it."),
    "invalid_token": N_("You are not signed in any more. Sign in and try again."),
    "forbidden": N_("This is not allowed: your role, the link or the page that sent it does not permit it."),
    "rate_limited": N_("Too many tries. Wait a quarter of an hour, then try again."),
    "not_found": N_("There is nothing at this address."),
    "method_not_allowed": N_("This address can't be asked this way. Go back and try again from the page."),
    "conflict": N_("This can't be done any more, or the name is taken. Open the page anew to see how things stand."),
    "cursor_expired": N_("This address belongs to an older state of the server. Begin at the first page."),
    "payload_too_large": N_("That is more than can be taken at once. Send less."),
    "server_error": N_(
        "This is a fault of Ringback. Try again; the number below helps whoever runs the server to find it."
    ),
    "unavailable": N_("The database can't be reached just now. Nothing is lost; try again in a minute."),
}
"""Each error code in a sentence for people."""


Decorator = Callable[[Callable[..., Any]], HTTPRouteHandler]


class FormError(Exception):
    """What is wrong with a form, as a text to translate, and the field where it stands."""

    def __init__(self, sentence: str, field: str = "", status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.sentence, self.field, self.status = sentence, field, status


def page(path: str, role: str = "viewer") -> Decorator:
    """Decorate the handler of a page for members with a role."""
    return route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=session(role))


def public_page(path: str) -> Decorator:
    """Decorate the handler of a page for everybody."""
    return route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], opt={"access": "public"})


def form(path: str, role: str) -> Decorator:
    """Decorate the handler of a form that members with a role send."""
    return post(path, status_code=200, opt=session(role))


def public_form(path: str) -> Decorator:
    """Decorate the handler of a form that everybody may send, from a page of ours."""
    return post(path, status_code=200, opt=FORM)


def signed_in(request: PageRequest) -> Session | None:
    """The session of a request that has one."""
    found = getattr(request.state, "session", None)
    return found if isinstance(found, Session) else None


def language_of(request: PageRequest) -> str:
    """The language of the answer: the address's, the person's, the cookie's, the browser's, the account's, English."""
    found = signed_in(request)
    wishes = [request.query_params.get("lang"), found.person.language if found else None, request.cookies.get(COOKIE)]
    accepted = request.headers.get("accept-language", "")
    return choose(wishes, accepted, found.account.language if found else None)


def root(request: PageRequest) -> str:
    """The path below which a proxy shows this server, without a slash at its end; mostly ""."""
    public_url: str = request.app.state.settings.public_url
    return urlsplit(public_url).path.rstrip("/")


def is_secure(request: PageRequest) -> bool:
    """Whether the browser asks by https, as far as we can know behind a proxy."""
    settings = request.app.state.settings
    forwarded = request.headers.get("x-forwarded-proto", "") if is_from_proxy(request, settings.trusted_proxies) else ""
    return request.scope["scheme"] == "https" or forwarded == "https" or settings.public_url.startswith("https:")


def render(
    request: PageRequest,
    template: str,
    /,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    **context: Any,
) -> Response[str]:
    """A page."""
    language = language_of(request)
    found = signed_in(request)
    theme = (found.person.theme if found else None) or request.cookies.get(THEME_COOKIE)
    text = (
        _environment(language)
        .get_template(template)
        .render(
            {
                "language": language,
                "direction": locale(language).text_direction,
                "languages": LANGUAGES,
                "theme": theme if theme in THEMES else "",
                "session": found,
                "can": lambda role: found is not None and may(found.role, role),
                "path": request.scope["path"],
                "root": root(request),
                "show": formats.Formats(language, found.account.time_zone if found else "UTC"),
                "navigation": [entry[:3] for entry in NAVIGATION if found and may(found.role, entry[3])],
                "plurals": _plurals(language),
                "error": None,
                **context,
                "form": defaultdict(str, form or {}),
            }
        )
    )
    return Response(text, media_type="text/html", status_code=status, headers={**HEADERS, **(headers or {})})


@cache
def _plurals(language: str) -> list[tuple[str, int]]:
    """Each plural category of a language, as browsers know it, with a number that takes it."""
    found: dict[str, int] = {}
    for number in (*range(200), 1_000_000):
        found.setdefault(locale(language).plural_form(number), number)
    return list(found.items())


@cache
def _environment(language: str) -> Environment:
    """Templates in a language; each keeps its own, since texts are looked up while a template is compiled and run."""
    environment = Environment(
        loader=PackageLoader("ringback.web", "templates"), autoescape=True, undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.policies["ext.i18n.trimmed"] = True
    # The i18n extension adds this method; the type of an environment does not know it.
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.filters["account_option"] = lambda account: (str(account.id), account.name)
    environment.filters["script_json"] = as_json
    environment.filters["shell"] = shlex.quote
    environment.globals["static"] = static
    environment.globals["address"] = address
    environment.globals["translate"] = translations(language).gettext  # of texts that stand in Python
    return environment


@cache
def static(name: str) -> str:
    """The address of a file for browsers; it changes with the file, which can so be kept for ever."""
    content = (files("ringback.web") / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:10]}"


def address(path: str, parameters: Mapping[str, Any] | None = None, /, **changed: Any) -> str:
    """A path with parameters; those that are None or empty are left out."""
    together = {**(parameters or {}), **changed}
    query = urlencode({name: value for name, value in together.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


def see_other(request: PageRequest, path: str, *, cookies: list[Cookie] | None = None) -> Response[str]:
    """Go on to another page after a form."""
    headers = {**HEADERS, "Location": root(request) + path}
    return Response(
        "", media_type="text/plain", status_code=HTTPStatus.SEE_OTHER, headers=headers, cookies=cookies or []
    )


def cookie(request: PageRequest, name: str, value: str, *, max_age: int = YEAR_S) -> Cookie:
    """A cookie that scripts can't read; `max_age` in s."""
    return Cookie(
        key=name,
        value=value,
        path=root(request) or "/",
        max_age=max_age,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


async def read_form(request: PageRequest) -> dict[str, str]:
    """The fields of a form, each trimmed; of equal names the last. Raises InvalidParameter, PayloadTooLarge."""
    body = await request.body()
    if len(body) > LARGEST_FORM:
        raise PayloadTooLarge("A form may have 100,000 bytes.")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError:
        raise InvalidParameter("The form can't be read.") from None
    if not all(is_storable(text) for field in fields for text in field):
        raise InvalidParameter("The form has characters that can't be kept.")
    return {name: value if name == "password" else trim(value) for name, value in fields}


def own_path(text: str) -> str:
    """A path of our own to go on to; "/" where the text is none, since a link could name another site."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text
    return text if is_own else "/"


def wants_page(request: PageRequest) -> bool:
    """Whether an error is to be a page: a browser asks, and the address is none of programs."""
    path = request.scope["path"]
    is_program = any(path == prefix or path.startswith(prefix + "/") for prefix in NOT_PAGES)
    return not is_program and "text/html" in request.headers.get("accept", "")


def error_page(request: PageRequest, status: int, code: str, detail: str, headers: Mapping[str, str]) -> Response[str]:
    """An error as a page: what happened, what to do, a way back."""
    return render(
        request, "error.html", status=status, headers=headers, code=code, sentence=SENTENCES.get(code, ""),
        number=detail if code == "server_error" else "",
    )  # fmt: skip


def to_login(request: PageRequest) -> Response[str]:
    """Where somebody is sent who is not signed in; from there back to the page that was asked for."""
    query = request.scope["query_string"].decode("ascii", "replace")
    asked = request.scope["path"] + (f"?{query}" if query else "")
    return see_other(request, "/login" if asked == "/" else f"/login?next={quote(asked, safe='/')}")


def as_json(value: Any) -> Markup:
    """Data for a script, safe inside a page."""
    text = msgspec.json.encode(value).decode()
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 - what could end the script's element is escaped above
