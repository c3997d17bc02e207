"""What a failed attempt means: for the call (try again or not), for all calls, for the window and for the bill."""

from __future__ import annotations

from dataclasses import dataclass

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import FailureKind
from efficient_empathy.llm.wire import Usage


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed attempt.

    `retry`: sending it again may help. `overload`: the window should shrink. `billed`: it may have been billed.
    `usage`: what was billed for certain. `unanswered`: nothing came back but an error of the connection or the server.
    `refused`: not even a connection. `parameter`: the request's field that the server does not take. `code`: the
    server's own code of the error. `fatal`: no call at all will be answered.
    """

    kind: FailureKind
    reason: str
    retry: bool = True
    overload: bool = False
    billed: bool = False
    unanswered: bool = False
    refused: bool = False
    usage: Usage | None = None
    retry_after_s: float | None = None
    parameter: str | None = None
    code: str | None = None
    fatal: UserError | None = None
