"""Who may ask the service what: token, addresses of browsers, sizes; and every error as JSON."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from efficient_empathy.service.tokens import Tokens
from efficient_empathy.web.addresses import Addresses, is_own_page
from efficient_empathy.web.rates import Lockouts
from efficient_empathy.web.requests import bearer_token, check_header, limit_body

BODY_LIMIT = 10 << 20
"""Bytes of a request's body."""
BODIES_LIMIT = 8 * BODY_LIMIT
"""Bytes of all bodies that are under way."""
OPEN = ("/", "/health", "/ready", "/openapi.json")
"""What may be asked without a token: it tells nothing of what is served."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PHRASES = {
    404: "There is nothing at this address: the service answers POST /v1/score; GET / lists the others.",
    405: "This address does not take that method: GET / says which it takes.",
}
log = logging.getLogger(__name__)


class Guard:
    """The middleware before everything."""

    def __init__(
        self, app: ASGIApp, tokens: Tokens, host: str, allowed_hosts: Sequence[str] = (), *, lockouts: Lockouts
    ) -> None:
        self._app, self._tokens, self._lockouts = app, tokens, lockouts
        self._addresses, self._allowed = Addresses(host, allowed_hosts), allowed_hosts
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with what is wrong with it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request, began, received = Request(scope), False, 0
        scope.setdefault("state", {})["began"] = time.perf_counter()

        async def send_guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            if self._bytes + size > BODIES_LIMIT:
                raise HTTPException(503, "The service holds too many large requests: try again.", {"Retry-After": "2"})
            received += size
            self._bytes += size
            return message

        try:
            self._check(request)
            await self._app(scope, limit_body(receive_counted, BODY_LIMIT), send_guarded)
        except HTTPException as error:
            if not began:
                await error_response(error)(scope, receive, send_guarded)
        except ClientDisconnect:
            pass
        except Exception as error:
            place = "".join(traceback.format_tb(error.__traceback__))  # a message could quote a text
            log.error("%s %a failed: %s\n%s", request.method, request.scope["path"], type(error).__name__, place)
            if not began:
                problem = HTTPException(500, "Something went wrong in the service; its log says what. Try again later.")
                await error_response(problem)(scope, receive, send_guarded)
        finally:
            self._bytes -= received

    def _check(self, request: Request) -> None:
        check_header(request.headers, BODY_LIMIT)
        if not self._tokens.required:
            if not self._addresses.include(request.headers.get("host", "")):
                raise HTTPException(
                    403,
                    "The service does not go by that name (Host): ask for localhost, or start it with --allowed-hosts.",
                )
            if not is_own_page(request.headers, request.method, self._allowed):
                raise HTTPException(403, "The service answers no pages of other sites: ask it from a program.")
        elif request.scope["path"] not in OPEN:
            self._check_token(request)

    def _check_token(self, request: Request) -> None:
        shown = bearer_token(request)
        if shown and self._tokens.include(shown):
            return
        address = request.client.host if request.client else ""
        if shown and (wait := self._lockouts.wait(address)):
            raise HTTPException(
                429, "Too many wrong tokens came from your address: wait.", {"Retry-After": f"{math.ceil(wait)}"}
            )
        if shown:
            self._lockouts.count(address)
        problem = "That is not a token of the service." if shown else "The service needs a token."
        raise HTTPException(
            401, f"{problem} Send it in the header Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
        )


def error_response(error: HTTPException) -> JSONResponse:
    """An error as `{"error": "a sentence, with what to do"}`."""
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = _PHRASES.get(error.status_code, f"{detail}.")
    return JSONResponse({"error": detail}, error.status_code, error.headers)
