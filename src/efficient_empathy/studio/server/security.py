"""Who may ask the studio what: address, origin, token, links of annotators, rates, sizes, and what browsers may do."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import math
import re
import secrets
import socket
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.links import Annotator
from efficient_empathy.studio.server.rates import Lockouts, Rates, sources_of

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d*)?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is reached from this machine alone."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


class Addresses:
    """What a studio that is bound to `host` may be called.

    On loopback, the names of loopback: a page of someone else's can point a name of theirs at us (DNS rebinding), but
    not these. Elsewhere also `host`, the machine's name with any domain, and every bare address. `allowed` are names
    that a proxy asks by, each with its port or at any.
    """

    def __init__(self, host: str, allowed: Sequence[str] = ()) -> None:
        self._local = is_loopback(host)
        self._machine = socket.gethostname().lower()
        self._names = _LOOPBACK if self._local else _LOOPBACK | {host.lower(), self._machine}
        self._allowed = frozenset(name.lower() for name in allowed)

    def include(self, host: str) -> bool:
        """Whether a Host header names the studio, at whatever port (it may be forwarded)."""
        match = _HOST.fullmatch(host.lower())
        if not match:
            return False
        name = match["name"]
        if {name, host.lower()} & self._allowed:
            return True
        address = _address(name.removeprefix("[").removesuffix("]"))
        if name in self._names or (address is not None and address.is_loopback):
            return True
        return not self._local and (address is not None or name.startswith(f"{self._machine}."))


def is_own_page(headers: Headers, method: str, allowed: Sequence[str] = ()) -> bool:
    """Whether a request comes from a page of the studio, from no page at all, or from a link that someone followed.

    `allowed` are the names of the studio behind a proxy, which may pass on requests under another Host.
    """
    origin = headers.get("origin")
    if origin is not None:
        names = (headers.get("host", "").lower(), *(name.lower() for name in allowed))
        return origin.lower() in (f"{scheme}://{name}" for name in names for scheme in ("http", "https"))
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and method == "GET"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


__all__ = ["Guard", "checked_token", "error_response", "is_loopback", "owner_only"]

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
HEADER_FIELDS, HEADER_BYTES = 200, 1 << 15
"""The most of a request's header."""
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
                await self._app(scope, _limit_body(receive, self._studio.limit), send_guarded)
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
        if {"content-length", "transfer-encoding"} <= set(request.headers):
            problem = "The request says its length in two ways, and a proxy may have read it otherwise."
            raise HTTPException(400, problem, {"Connection": "close"})
        sizes = [len(name) + len(value) for name, value in request.headers.raw]
        if len(sizes) > HEADER_FIELDS or sum(sizes) > HEADER_BYTES:
            raise HTTPException(431, "The request's header is too long: delete this site's cookies.")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 12 or int(length) > self._studio.limit:
            raise HTTPException(413, f"The request is larger than {self._studio.limit:,} bytes.")
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
        in_session = self._studio.token is not None and _same(
            request.cookies.get(self._owner_cookie, ""), self._session
        )
        self._take(OWNER if in_session else _source(request))
        token = request.query_params.get("token")
        if self._studio.token is not None:
            secret = token or _bearer(request)
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
        if not _same(shown, token):
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


def _limit_body(receive: Receive, limit: int) -> Receive:
    """`receive`, which breaks off a body that does not say its length and goes on too long."""
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413, f"The request is larger than {limit:,} bytes.")
        return message

    return receive_limited


def _session_of(studio: Studio) -> str:
    """What the owner's cookie holds: no token, and nothing that can be guessed; the same after a restart."""
    try:
        return studio.links.sign(f"owner {studio.token}") if studio.token else ""
    except UserError:  # nowhere to keep the key: then it is for this time alone
        return secrets.token_hex(32)


def _same(shown: str, secret: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), secret.encode())


def _bearer(request: Request) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials if scheme.lower() == "bearer" else ""


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _source(request: Request) -> str:
    return sources_of(_address_of(request))[0]
