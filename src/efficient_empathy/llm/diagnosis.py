"""What a response is: a reply, or a fault of the call, of the server or of the user's settings."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import EndpointNotFound, KeyRefused, QuotaExhausted
from efficient_empathy.llm.faults import Fault
from efficient_empathy.llm.retry import retry_after
from efficient_empathy.llm.secrecy import Secrets
from efficient_empathy.llm.transport import Response
from efficient_empathy.llm.wire import BadBodyError, Reply, ServerError, read_error, read_reply

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|too[ _]long|string_above_max_length|`inputs` tokens \+", re.I
)
_MODERATED = re.compile(r"moderation|flagged", re.I)
_STRUCTURED = re.compile(r"response_format|json_schema|json_object|structured output|guided|grammar", re.I)
_LOGPROBS = re.compile(r"log[ _-]?prob", re.I)
_MAYBE_BILLED = frozenset({408, 504, 524})  # somebody on the way gave up waiting; the model may have answered


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Reads the responses of one endpoint, named by `url` and `model`, its key in the variable `key_name`."""

    url: str
    model: str
    key_name: str
    has_key: bool
    secrets: Secrets

    def read(self, response: Response, sent: Collection[str]) -> Reply | Fault:
        """The reply in a response, or why there is none. `sent` are the request's fields."""
        if not 200 <= response.status < 300:
            return self._refusal(response, sent)
        try:
            return read_reply(response.body)
        except BadBodyError as error:
            return Fault("bad_body", self.secrets.tell(str(error)), billed=True, usage=error.usage)

    def _refusal(self, response: Response, sent: Collection[str]) -> Fault:
        status, error = response.status, read_error(response.body)
        wait_s = retry_after(response.headers.get("Retry-After"))
        told = self.secrets.tell(error.message)
        reason = f"HTTP {status}: {told}" if told else f"HTTP {status}"
        code = self.secrets.tell(error.code) if error.code else None
        fatal = self._fatal(response, error, told)
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
        return Fault("rejected", reason, retry=False, parameter=_parameter(error, sent), code=code)

    def _fatal(self, response: Response, error: ServerError, told: str) -> UserError | None:
        status = response.status
        if status == 402 or (status == 429 and b"insufficient_quota" in response.body):
            return QuotaExhausted(f"the account behind {self.key_name} has no credit left at {self.url}: {told}")
        if status == 401 or (status == 403 and not _MODERATED.search(error.message)):
            if not self.has_key:
                return KeyRefused(f"{self.url} asks for a key (HTTP {status}): set {self.key_name}")
            detail = f" ({told})" if status == 403 and told else ""  # a 401's message tends to quote the key
            remedy = f"set {self.key_name} to one that may use {self.model}"
            return KeyRefused(f"{self.url} refuses the key (HTTP {status}){detail}: {remedy}")
        if status in (404, 405):
            return EndpointNotFound(
                f'there is no chat model "{self.model}" at {self.url} (HTTP {status}: {told}): '
                "check the model's name and the base URL, which often ends in /v1"
            )
        if 300 <= status < 400:
            target = self.secrets.tell(response.headers.get("Location") or "nowhere").split("?")[0]
            return EndpointNotFound(f"{self.url} redirects to {target} (not followed): give the final base URL")
        return None


def _parameter(error: ServerError, sent: Collection[str]) -> str | None:
    """Which of the fields that were sent the server does not take, as far as its words tell."""
    words = f"{error.parameter} {error.message}"
    for field, pattern in (("response_format", _STRUCTURED), ("logprobs", _LOGPROBS)):
        if field in sent and pattern.search(words):
            return field
    fields = [field for field in sent if field not in ("messages", "model")]
    named = [field for field in fields if re.search(rf"\b{re.escape(field)}\b", words)]
    return max(named, key=len, default=None)
