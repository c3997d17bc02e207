"""Who may ask the studio what: address, origin, token, links of annotators, rates, sizes, and what browsers may do."""

from __future__ import annotations

import logging
import math
import secrets
from html import escape
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.links import Annotator
from efficient_empathy.web.addresses import Addresses, is_own_page
from efficient_empathy.web.rates import Lockouts, Rates, sources_of
from efficient_empathy.web.requests import bearer_token, check_header, is_same, limit_body

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
SAFE = ("GET", "HEAD", "OPTIONS")
TOKEN_LENGTH = 16
"""The least length of a token that a user chooses."""
OWNER = "the owner"
"""The client that all who have the owner's session are, wherever they are."""
_WRONG_LINK = "This link has ended or was withdrawn: ask for a new one."
_OURS = {
    400: "The studio cannot read that request.",
    404: "There is no such page here.",
    405: "This address does not take that.",
}
"""What the router says in a phrase of its own."""
log = logging.getLogger(__name__)


class Guard:
    """The middleware before everything: what it lets through has `annotator` in its state, None for the owner.

    Tokens can be guessed, for people choose some: a client that shows too many wrong ones has to wait. Links and
    sessions are 256 bits that the studio made: a right one always opens, whoever else is at the same address.
    """

    def __init__(self, app: ASGIApp, studio: Studio, rates: Rates, lockouts: Lockouts) -> None:
        self._app, self._studio, self._rates, self._lockouts = app, studio, rates, lockouts
        self._addresses = Addresses(studio.host, studio.allowed_hosts)
        self._session = _session_of(studio)
        self._owner_cookie, self._annotator_cookie = f"studio-{studio.port}", f"studio-rate-{studio.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with what is wrong with it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope.setdefault("state", {})["annotator"] = None
        began = False

        async def send_guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            if (answer := self._answer(request)) is not None:
                await answer(scope, receive, send_guarded)
            else:
                await self._app(scope, limit_body(receive, self._studio.limit), send_guarded)
        except HTTPException as error:
            await error_response(request, self._studio, error)(scope, receive, send_guarded)
        except ClientDisconnect:
            pass
        except Exception as error:
            log.error("%s %a failed", request.method, request.scope["path"], exc_info=error)
            if not began:
                problem = HTTPException(500, "Something went wrong here; the studio's terminal says what.")
                await error_response(request, self._studio, problem)(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """None where the request may pass, else what to answer instead. Raises `HTTPException`."""
        if not self._addresses.include(request.headers.get("host", "")):
            raise HTTPException(403, "This address is not the studio's: open the one that it printed.")
        if not is_own_page(request.headers, request.method, self._studio.allowed_hosts):
            raise HTTPException(403, "The studio answers its own pages only.")
        check_header(request.headers, self._studio.limit)
        path: str = request.scope["path"]
        if path.startswith("/static/"):
            return None
        if path == "/leave":
            return self._without_link(RedirectResponse("/", 303))
        if path == "/rate" and "link" in request.query_params:
            return self._accept_link(request, request.query_params["link"])
        if (key := request.cookies.get(self._annotator_cookie)) is not None:
            return self._annotator_asks(request, key)
        return self._owner_asks(request)

    def _accept_link(self, request: Request, key: str) -> Response:
        """Someone opened an annotator's link."""
        self._take(_source(request))
        if self._annotator(key) is None:
            self._require_patience(request)
            self._lockouts.count(_address_of(request))
            raise HTTPException(401, _WRONG_LINK)
        return _redirect(request, self._annotator_cookie, key)

    def _annotator_asks(self, request: Request, key: str) -> Response | None:
        annotator = self._annotator(key)
        if annotator is None:
            self._take(_source(request))
            return self._without_link(error_response(request, self._studio, HTTPException(401, _WRONG_LINK)))
        request.scope["state"]["annotator"] = annotator
        self._take(f"link {annotator.link}")
        path: str = request.scope["path"]
        if not (path == "/rate" or path.startswith(("/rate/", "/api/rate/"))):
            raise HTTPException(403, "Your link opens the rating, and nothing else.")
        self._check_writes(request)
        return None

    def _owner_asks(self, request: Request) -> Response | None:
        in_session = self._studio.token is not None and is_same(
            request.cookies.get(self._owner_cookie, ""), self._session
        )
        self._take(OWNER if in_session else _source(request))
        token = request.query_params.get("token")
        if self._studio.token is not None:
            secret = token or bearer_token(request)
            if not secret and not in_session:
                raise HTTPException(401, "The studio needs its token: open the address that it printed.")
            if secret and not (in_session and self._lockouts.wait(_address_of(request))):
                self._check_token(request, secret, self._studio.token)
            if token and request.method == "GET":
                return _redirect(request, self._owner_cookie, self._session)
        self._check_writes(request)
        return None

    def _check_token(self, request: Request, shown: str, token: str) -> None:
        self._require_patience(request)
        if not is_same(shown, token):
            self._lockouts.count(_address_of(request))
            raise HTTPException(401, "This is not the studio's token: open the address that it printed.")

    def _require_patience(self, request: Request) -> None:
        """Raise 429 for a client that has shown too many wrong secrets."""
        if wait := self._lockouts.wait(_address_of(request)):
            seconds = math.ceil(wait)
            time = f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
            problem = f"Too many wrong tokens or links came from your address: try again in {time}."
            raise HTTPException(429, problem, {"Retry-After": f"{seconds}"})

    def _check_writes(self, request: Request) -> None:
        if self._studio.read_only and request.method not in SAFE:
            raise HTTPException(403, "This studio is read-only.")

    def _take(self, client: str) -> None:
        if wait := self._rates.wait(client):
            raise HTTPException(429, "Too many requests: wait a moment.", {"Retry-After": f"{math.ceil(wait)}"})

    def _annotator(self, key: str) -> Annotator | None:
        link = self._studio.links.check(key)
        run = self._studio.runs.name_of(link.root) if link else None
        return Annotator(link.annotator, run, link.id) if link and run else None

    def _without_link(self, answer: Response) -> Response:
        answer.delete_cookie(self._annotator_cookie, httponly=True, samesite="strict")
        return answer


def owner_only(studio: Studio, request: Request) -> None:
    """Raise 403 where an annotator asks: for the parts of the rating that are the owner's."""
    if studio.annotator(request):
        raise HTTPException(403, "This is for the owner of the run.")


def error_response(request: Request, studio: Studio, error: HTTPException) -> Response:
    """An error as `{"error": "one sentence"}` below `/api/`, and as a page elsewhere."""
    if error.status_code in _OURS and error.detail == HTTPStatus(error.status_code).phrase:
        error = HTTPException(error.status_code, _OURS[error.status_code], error.headers)
    if request.scope["path"].startswith("/api/"):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    annotator = studio.annotator(request)
    page = studio.templates.get_template("problem.html.j2").render(error=error, annotator=annotator)
    return HTMLResponse(page, error.status_code, error.headers)


def checked_token(token: str) -> str:
    """A token that a user chose, if it is long enough and fits in a URL. Raises `UserError`."""
    if len(token) < TOKEN_LENGTH or not all(c.isascii() and (c.isalnum() or c in "-._~") for c in token):
        raise UserError(
            f"a token has at least {TOKEN_LENGTH} characters out of letters, digits and -._~: "
            "leave out --token, and a good one is made for you"
        )
    return token


def _redirect(request: Request, cookie: str, secret: str) -> Response:
    """A page that keeps `secret` in a cookie and goes on to the same address without it.

    Not a redirect: a browser that came by a link on another site would follow that without a strict cookie.
    """
    query = [(k, v) for k, v in request.query_params.multi_items() if k not in ("token", "link")]
    address = "/" + request.scope["path"].lstrip("/\\") + (f"?{urlencode(query)}" if query else "")
    target = escape(address)
    answer = HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Efficient-Empathy studio</title>'
        f'<link rel="icon" href="data:,"><meta http-equiv="refresh" content="0;url={target}"></head>'
        f'<body><p><a href="{target}">Go on to the studio</a></p></body></html>'
    )
    is_https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))  # who lies harms themselves
    answer.set_cookie(cookie, secret, httponly=True, samesite="strict", secure=is_https)
    return answer


def _session_of(studio: Studio) -> str:
    """What the owner's cookie holds: no token, and nothing that can be guessed; the same after a restart."""
    try:
        return studio.links.sign(f"owner {studio.token}") if studio.token else ""
    except UserError:  # nowhere to keep the key: then it is for this time alone
        return secrets.token_hex(32)


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _source(request: Request) -> str:
    return sources_of(_address_of(request))[0]
