"""What a response is: a reply, or a fault of the call, of the server or of the user's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import EndpointNotFound, Fault, KeyRefused, QuotaExhausted
from efficient_empathy.llm.pacing import retry_after
from efficient_empathy.llm.secrecy import Secrets
from efficient_empathy.llm.transport import Response
from efficient_empathy.llm.wire import BadBodyError, Reply, ServerError, Wire

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|too[ _]long|string_above_max_length|`inputs` tokens \+", re.I
)
_MODERATED = re.compile(r"moderation|flagged", re.I)
_NO_CREDIT = re.compile(rb"insufficient_quota|credit balance is too low")
_MAYBE_BILLED = frozenset({408, 504, 524})  # somebody on the way gave up waiting; the model may have answered


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Reads the responses of one endpoint, named by `url` and `model`, its key in the variable `key_name`."""

    wire: Wire
    url: str
    model: str
    key_name: str
    has_key: bool
    secrets: Secrets

    def read(self, response: Response, sent: Mapping[str, Any]) -> Reply | Fault:
        """The reply in a response, or why there is none. `sent` are the request's fields."""
        if not 200 <= response.status < 300:
            return self._refusal(response, sent)
        try:
            return self.wire.read_reply(response.body)
        except BadBodyError as error:
            return Fault("bad_body", self.secrets.tell(str(error)), billed=True, usage=error.usage)

    def _refusal(self, response: Response, sent: Mapping[str, Any]) -> Fault:
        status, error = response.status, self.wire.read_error(response.body)
        wait_s = retry_after(response.headers.get("Retry-After"))
        message = self.secrets.tell(error.message)
        reason = f"HTTP {status}: {message}" if message else f"HTTP {status}"
        code = self.secrets.tell(error.code) if error.code else None
        fatal = self._fatal(response, error, message)
        if fatal:
            return Fault("rejected", reason, retry=False, code=code, fatal=fatal)
        if status == 429:
            return Fault("rate_limited", reason, overload=True, unanswered=True, retry_after_s=wait_s, code=code)
        if status >= 500 or status in (408, 409):
            return Fault(
                "timeout" if status == 408 else "server_error",
                reason,
                overload=status >= 500,
                billed=status in _MAYBE_BILLED,
                unanswered=True,
                retry_after_s=wait_s,
                code=code,
            )
        if status == 413 or _TOO_LONG.search(f"{error.code} {error.message}"):
            return Fault("too_long", reason, retry=False, code=code)
        return Fault("rejected", reason, retry=False, declined=self.wire.declined(error, sent), code=code)

    def _fatal(self, response: Response, error: ServerError, message: str) -> UserError | None:
        status = response.status
        if status == 402 or (status in (400, 429) and _NO_CREDIT.search(response.body)):
            return QuotaExhausted(f"the account behind {self.key_name} has no credit left at {self.url}: {message}")
        if status == 401 or (status == 403 and not _MODERATED.search(error.message)):
            if not self.has_key:
                return KeyRefused(f"{self.url} asks for a key (HTTP {status}): set {self.key_name}")
            detail = f" ({message})" if status == 403 and message else ""  # a 401's message tends to quote the key
            remedy = f"set {self.key_name} to one that may use {self.model}"
            return KeyRefused(f"{self.url} refuses the key (HTTP {status}){detail}: {remedy}")
        if status in (404, 405):
            return EndpointNotFound(
                f'there is no chat model "{self.model}" at {self.url} (HTTP {status}: {message}): '
                "check the model's name and the base URL, which often ends in /v1"
            )
        if 300 <= status < 400:
            target = self.secrets.tell(response.headers.get("Location") or "nowhere").split("?")[0]
            return EndpointNotFound(f"{self.url} redirects to {target} (not followed): give the final base URL")
        return None
