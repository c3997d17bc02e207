"""What is checked of every request: its header, the size of its body, the secret that it shows."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

HEADER_FIELDS, HEADER_BYTES = 200, 1 << 15
"""The most of a request's header."""


def check_header(headers: Headers, limit: int) -> None:
    """Raise `HTTPException` for a header that is too long, or says its body's length in two ways or as over `limit`."""
    if {"content-length", "transfer-encoding"} <= set(headers):
        problem = "The request says its length in two ways, and a proxy may have read it otherwise."
        raise HTTPException(400, problem, {"Connection": "close"})
    sizes = [len(name) + len(value) for name, value in headers.raw]
    if len(sizes) > HEADER_FIELDS or sum(sizes) > HEADER_BYTES:
        raise HTTPException(431, "The request's header is too long: delete this site's cookies.")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > limit:
        raise HTTPException(413, f"The request is larger than {limit:,} bytes.")


def limit_body(receive: Receive, limit: int) -> Receive:
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


def is_same(shown: str, secret: str) -> bool:
    """Whether a secret is the one that is shown, compared in constant time."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), secret.encode())


def bearer_token(request: Request) -> str:
    """The token of the header `Authorization: Bearer TOKEN`; empty without one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials if scheme.lower() == "bearer" else ""
