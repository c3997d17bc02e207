"""Why a response holds no reply: for this call, for every call like it, or for a while.

Servers say the same thing in many words. They are sorted here by HTTP status, by the status that an error in the body
stands for, and by words of the vendors' documentations, those left out that it quotes of the request; what a server's
words leave open is that one call's failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.bills import may_be_billed
from efficient_empathy.llm.echo import texts_of, without_echo
from efficient_empathy.llm.errors import (
    FILTERED,
    EndpointDown,
    EndpointNotFound,
    FailureKind,
    Fault,
    KeyRefused,
    NotTheJudge,
    QuotaExhausted,
)
from efficient_empathy.llm.keys import Secrets
from efficient_empathy.llm.transport import Response
from efficient_empathy.llm.waits import wait_hint
from efficient_empathy.llm.wire import BadBodyError, Reply, ServerError, Wire

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size|overflow)|maximum context|too[ _]long|string_above_max_length|`inputs` tokens \+"
    r"|exceeds? the (max\w*|limit)[^.]{0,40}tokens|(input|prompt) (token count|tokens?)[^.]{0,40}exceed",
    re.I,
)
_FILTERED = re.compile(
    r"content[ _-]?(filter|policy|management|moderation)|moderation|flagged|ResponsibleAIPolicy|data_inspection_failed"
    r"|inappropriate content|usage polic|safety (filter|system|setting)|guardrail|sensitive content|high[ _-]risk",
    re.I,
)
_ACCOUNT = re.compile(r"\b(account|organi[sz]ation|project|subscription)\b", re.I)
_NO_CREDIT = re.compile(
    r"insufficient[ _](\w+[ _])?(quota|balance|credits?|funds)|credit balance is too low|billing_hard_limit"
    r"|billing_not_active|account is not active|arrearage|out of credits|requires more credits|payment required",
    re.I,
)
_KEY = re.compile(
    r"\bapi[ _-]?(key|token)\b|api_key_\w+|\b(access|auth\w*|subscription|security|proxy server) (token|key)\b"
    r"|\bcredentials?\b|unauthori[sz]ed|unauthenticated|authentication[ _](error|failed|required)|login fail"
    r"|unregistered callers",
    re.I,
)
_NO_MODEL = re.compile(
    r"model\b.{0,80}?(not[ _](found|exist|a valid)|does not exist|doesn't exist|unknown)"
    r"|(invalid|unknown|no such) model\b|not a valid model",
    re.I,
)
_LOADING = re.compile(
    r"\bloading|being loaded|is starting|starting up|warming up|warm-?up|cold start|not (yet )?ready|initiali[sz]ing"
    r"|estimated_time|scaling up",
    re.I,
)
_AZURE = re.compile(r"azure|subscription key", re.I)
_PLAIN_ON_TLS = re.compile(r"plain HTTP request was sent to HTTPS port|client sent an HTTP request to an HTTPS", re.I)
_OVERLOADED = 529
_LOADING_POLL_S = 3.0
KEY_HEADERS = frozenset(
    {"authorization", "api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key", "x-auth-token"}
)
"""Headers that say who asks."""


def _without_echo(error: ServerError, fields: Mapping[str, Any]) -> ServerError:
    return replace(error, words=without_echo(error.words, texts_of(fields), fields))


def _is_filtered(error: ServerError) -> bool:
    """Whether a filter minds what the request says; one that minds whose it is speaks of the account."""
    return not error.is_page and bool(_FILTERED.search(error.words)) and not _ACCOUNT.search(error.words)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Reads the responses of one endpoint, named by `url` and `model`, its key in the variable `key_name`."""

    wire: Wire
    url: str
    model: str
    key_name: str
    headers: frozenset[str]
    """The names of those that are sent, in small letters."""
    secrets: Secrets

    def read(self, response: Response, fields: Mapping[str, Any]) -> Reply | Fault:
        """The reply in a response, or why there is none. `fields` are the request's."""
        if not 200 <= response.status < 300:
            error = _without_echo(self.wire.read_error(response.body), fields)
            return self._fault(response, error, response.status, fields)
        try:
            return self.wire.read_reply(response.body)
        except BadBodyError as error:
            said = _without_echo(error.error, fields) if error.error is not None else None
            if said is not None and not said.is_page:
                return self._fault(response, said, said.meaning or 500, fields, error)
            reason = self.secrets.tell(str(error))
            fatal = NotTheJudge(self._page(response.status, said)) if said is not None else None
            if error.dialect:
                fatal = NotTheJudge(f"{self.url} answers, but with {error.dialect}")
            return Fault("bad_body", reason, billed=True, usage=error.usage, fatal=fatal, only_at_first=True)

    def _fault(
        self,
        response: Response,
        error: ServerError,
        status: int,
        fields: Mapping[str, Any],
        body: BadBodyError | None = None,
    ) -> Fault:
        """What an error amounts to. `body` is set where it came as a success, which is billed where it says so."""
        message = self.secrets.tell(error.message)
        place = f"HTTP {response.status}" if body is None else f"an error in HTTP {response.status}"
        reason = f"{place}: {message}" if message else place
        code = self.secrets.tell(error.code) if error.code else None
        usage = body.usage if body is not None else None
        own_fault = status < 500 or (body is not None and error.meaning is None)
        too_long = status == 413 or bool(_TOO_LONG.search(error.words))
        filtered = own_fault and status not in (404, 408, 409, 429) and _is_filtered(error)
        is_own = response.body.lstrip()[:1] in (b"{", b"[")
        billed = may_be_billed(status, is_own=is_own, is_read=filtered or (too_long and status == 400))
        base = Fault("rejected", reason, retry=False, billed=billed, status=status, code=code, usage=usage)
        if fatal := self._fatal(error, status, reason, own_fault):
            only_at_first = isinstance(fatal, QuotaExhausted) and status not in (402, 429)
            return replace(base, fatal=fatal, only_at_first=only_at_first)
        if filtered:
            return replace(base, code=FILTERED)
        if busy := self._busy(response, error, status, base, message):
            return busy
        if too_long:
            return replace(base, kind="too_long")
        declined = self.wire.declined(error, fields)
        if declined is not None and not (status == 404 and declined != "json_schema"):
            return replace(base, declined=declined)
        return replace(base, fatal=self._fatal_at_first(response, error, status, message, reason), only_at_first=True)

    def _busy(self, response: Response, error: ServerError, status: int, base: Fault, message: str) -> Fault | None:
        """What passes by itself: a rate limit, a model that is being loaded, an overload, an error of the server."""
        wait_s = wait_hint(response.headers, error.words)
        if status == 429:
            return replace(base, kind="rate_limited", retry=True, patient=True, overload=True, unanswered=True,
                         retry_after_s=wait_s)  # fmt: skip
        if status in (425, 500, 503) and not error.is_page and _LOADING.search(error.words):
            return replace(
                base, kind="server_error", retry=True, patient=True, unanswered=True, billed=False,
                retry_after_s=_LOADING_POLL_S if wait_s is None else wait_s,
                fatal=EndpointDown(f"{self.url} still loads its model ({message}): run the command again once it has"),
                only_at_first=True, notice=f"{self.url} is loading its model: waiting for it ({message}).",
            )  # fmt: skip
        if status >= 500 or status in (408, 409):
            kind: FailureKind = "timeout" if status == 408 else "server_error"
            return replace(base, kind=kind, retry=True, patient=status == _OVERLOADED, overload=status >= 500,
                         unanswered=True, retry_after_s=wait_s)  # fmt: skip
        return None

    def _fatal(self, error: ServerError, status: int, reason: str, own_fault: bool) -> UserError | None:
        """What no call will get past, whenever it is said."""
        if status == 402 or (own_fault and _NO_CREDIT.search(error.words)):
            return QuotaExhausted(f"the account behind {self.key_name} has no credit left at {self.url} ({reason})")
        if status == 401:
            return self._key_refused(status, error)
        if status == 511:
            return NotTheJudge(self._page(status, error))
        if status == 407:
            return NotTheJudge(
                f"the proxy before {self.url} wants a login (HTTP 407): put its user and password into HTTP_PROXY"
            )
        return None

    def _fatal_at_first(
        self, response: Response, error: ServerError, status: int, message: str, reason: str
    ) -> UserError | None:
        """What no call will get past unless one has got past it already: then it is about the one request."""
        if 300 <= status < 400:
            target = self.secrets.tell(response.headers.get("Location") or "nowhere").split("?")[0]
            return EndpointNotFound(
                f"{self.url} redirects to {target} (not followed, so that no key goes there): give the final base URL, "
                "or sign in first if that is the page of a network or a proxy"
            )
        if _PLAIN_ON_TLS.search(f"{error.message} {error.words}"):
            return EndpointNotFound(f"{self.url} speaks TLS: give the base URL with https://")
        if error.is_page and status == 403:
            return NotTheJudge(self._page(status, error))
        if status == 403 or (status in (400, 404, 422) and _KEY.search(error.words)):
            return self._key_refused(status, error, message)
        if status in (404, 405) or _NO_MODEL.search(error.words):
            return EndpointNotFound(
                f'there is no chat model "{self.model}" at {self.url} ({reason}): '
                "check the model's name and the base URL, which often ends in /v1"
            )
        return None

    def _key_refused(self, status: int, error: ServerError, message: str = "") -> KeyRefused:
        """`message` is the server's, which is left out where it may quote the key, as that of a 401 does."""
        hint = ""
        if _AZURE.search(error.words) and "api-key" not in self.headers:
            hint = f"; Azure takes a key in a header of its own: --header api-key={self.key_name}"
        if not self.headers & KEY_HEADERS:
            return KeyRefused(f"{self.url} asks for a key (HTTP {status}): set {self.key_name}{hint}")
        detail = f" ({message})" if message and "**" not in message else ""
        remedy = f"set {self.key_name} to one that may use {self.model}"
        return KeyRefused(f"{self.url} refuses the key (HTTP {status}){detail}: {remedy}{hint}")

    def _page(self, status: int, page: ServerError | None) -> str:
        title = self.secrets.tell(page.message) if page is not None else "a web page"
        return (
            f"a web page answers in place of {self.url} (HTTP {status}, {title}): check the base URL, which often ends "
            "in /v1; if a proxy, a firewall or a network's sign-in page stands before it, get past that first"
        )
