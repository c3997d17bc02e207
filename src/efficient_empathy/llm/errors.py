"""How a call fails: for itself, for every call like it, or because the money is spent."""

# ruff: noqa: N818 (named for what happened, as the handlers read)

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.wire import Usage

FailureKind = Literal["timeout", "rate_limited", "server_error", "connection", "bad_body", "too_long", "rejected"]


FILTERED = "content_filter"
"""The code of every fault that a content filter is behind, whatever the server calls it."""


class CallFailed(Exception):
    """This one call has no answer; others may have.

    `kind` says how it failed last, `attempts` how often it was sent, `cost_usd` what all attempts may have cost,
    `latency_s` how long the last one took. `declined` is what the server does not take (json_schema, logprobs, or a
    field of the request), so that the caller can go on without it; `suspected` that nobody said so, but requests with
    it alone fail; `code` is the server's own error code.
    """

    def __init__(
        self,
        reason: str,
        kind: FailureKind,
        attempts: int,
        cost_usd: float,
        latency_s: float,
        *,
        declined: str | None,
        suspected: bool,
        code: str | None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind: FailureKind = kind
        self.attempts = attempts
        self.cost_usd = cost_usd
        self.latency_s = latency_s
        self.declined = declined
        self.suspected = suspected
        self.code = code


class BudgetExhausted(Exception):
    """What is left of the budget does not cover this call's upper bound. Nothing was sent for this attempt.

    `attempts` and `cost_usd` count the attempts of the same call that were paid before; where there are any, `reason`
    says why the last one of them failed.
    """

    def __init__(self, reason: str, attempts: int = 0, cost_usd: float = 0.0) -> None:
        super().__init__(reason)
        self.attempts = attempts
        self.cost_usd = cost_usd


class Draining(Exception):
    """The endpoint sends nothing new (`Endpoint.drain`), and this call had no request under way.

    `attempts` and `cost_usd` count the attempts of the same call that were made before; `fault` is why the last one of
    them failed.
    """

    def __init__(self, attempts: int = 0, cost_usd: float = 0.0, fault: str = "") -> None:
        super().__init__(f"{fault}; it was stopped before another try" if fault else "the endpoint sends nothing new")
        self.attempts = attempts
        self.cost_usd = cost_usd


class KeyRefused(UserError):
    """HTTP 401 or 403, or words of that meaning: no call will be answered with this key."""


class EndpointNotFound(UserError):
    """HTTP 404, 405 or a redirect: the model or the URL is wrong."""


class QuotaExhausted(UserError):
    """The account behind the key has no credit left."""


class Overbilled(UserError):
    """A bill came to more than one request can cost, and cost is limited: the limit cannot be kept at this endpoint."""


class NotTheJudge(UserError):
    """A web page or another server answers in the model's place."""


class Untrusted(UserError):
    """No TLS comes about with the host, as its certificate cannot be verified."""


class ServerLost(UserError):
    """A server of this process's own has ended: what it was asked last has no answer, but another one may be begun."""


class EndpointDown(UserError):
    """Too many calls in a row were not answered at all: no point in going on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed attempt.

    `retry`: sending it again may help; `patient`: for as long as patience lasts, whatever the count of attempts.
    `overload`: the window should shrink. `billed`: it may have been billed. `usage`: what was billed for certain.
    `unanswered`: nothing came back but an error of the connection or the server. `refused`: not even a connection.
    `status`: that of HTTP, or the one that the body stands for. `declined`: what of the request the server does not
    take. `code`: the server's own code of the error. `fatal`: no call at all will be answered; `only_at_first`: unless
    one has been before. `notice`: what whoever waits should know.
    """

    kind: FailureKind
    reason: str
    retry: bool = True
    patient: bool = False
    overload: bool = False
    billed: bool = False
    unanswered: bool = False
    refused: bool = False
    usage: Usage | None = None
    retry_after_s: float | None = None
    status: int | None = None
    declined: str | None = None
    code: str | None = None
    fatal: UserError | None = None
    only_at_first: bool = False
    notice: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether a content filter stopped the request: an answer of its kind, which asking again does not change."""
        return self.code == FILTERED
