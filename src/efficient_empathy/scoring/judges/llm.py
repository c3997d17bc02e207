"""The LLM judge, whatever wire format its endpoint speaks: one sample's scores a call."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, JsonValue

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import BudgetExhausted, CallFailed, Completion, Draining, Endpoint
from efficient_empathy.llm.connection import connect
from efficient_empathy.llm.errors import FILTERED
from efficient_empathy.llm.settings import HeaderVariables, public_url, settings_of_request
from efficient_empathy.scoring.judges.completions import Streak, read_completion
from efficient_empathy.scoring.judges.contract import REDACTS, Judge, JudgeContext, Judgement, JudgeSpec
from efficient_empathy.scoring.judges.model_settings import DECODING, ModelSettings
from efficient_empathy.scoring.logprobs import TOP_LOGPROBS, LogprobsError, alternatives_limit, distributions
from efficient_empathy.scoring.parser import to_judgement
from efficient_empathy.scoring.rubric import Rubric

if TYPE_CHECKING:
    from efficient_empathy.llm.batches.client import BatchClient


class LLMSettings(ModelSettings):
    """Who is asked behind an API, and what it may cost. A subclass names its wire format."""

    FORMS: ClassVar[tuple[str, ...]] = (":MODEL", ":MODEL@URL")
    base_url: str | None = None
    """the endpoint; by default $OPENAI_BASE_URL or https://api.openai.com/v1, $ANTHROPIC_BASE_URL or
    https://api.anthropic.com."""
    api_key_env: str | None = None
    """the environment variable that holds the key; OPENAI_API_KEY or ANTHROPIC_API_KEY by default."""
    headers: HeaderVariables = Field(default_factory=dict)
    """a header of every request, its value from an environment variable, as in api-key=AZURE_API_KEY; repeatable."""
    max_attempts: int = Field(default=5, ge=1)
    """tries per request, not counting 429s."""
    max_cost: float | None = Field(default=None, ge=0)
    """US dollars that the ledger of this run, or folder, may come to in all; a bill above what its request can cost
    ends the run."""
    prices: Path | None = None
    """a prices file instead of the package's own."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """`MODEL` or `MODEL@URL`."""
        model, _, url = detail.partition("@")
        return {key: value for key, value in {"model": model, "base_url": url}.items() if value}

    @property
    def fields_of_requests(self) -> dict[str, JsonValue]:
        """See `ModelSettings`."""
        return settings_of_request(self.headers, self.extra_body)

    def resolve(self) -> Self:
        """With the endpoint as a URL without secrets; what it may cost is for each run to say."""
        from efficient_empathy.llm.wire import WIRES

        wire = WIRES.load(self.WIRE)
        url = self.base_url or os.environ.get(wire.url_variable) or wire.default_url
        return self.model_copy(update={"base_url": public_url(url), "max_cost": None})

    def build(self, context: JudgeContext) -> Judge:
        """The judge, whose budget begins with what the ledger has come to."""
        from efficient_empathy.llm import Budget, Prices

        if not self.model:
            raise UserError(f"the judge {self.NAME} needs --model: the name that its server gives the model")
        endpoint = connect(
            self.WIRE,
            self.base_url,
            self.model,
            api_key_env=self.api_key_env,
            headers=self.headers,
            extra_body=self.extra_body,
            concurrency=self.concurrency,
            timeout_s=self.timeout_s,
            max_attempts=self.max_attempts,
            budget=Budget(self.max_cost, context.spent_usd()),
            prices=Prices.load(self.prices),
        )
        return LLMJudge(endpoint, context.rubric, self)


class LLMJudge:
    """Asks an endpoint for one sample's scores a call. The endpoint's window bounds the requests in flight.

    `identity` is what its `JudgeSpec` calls the model, by default name and address.
    More calls than the window holds are kept under way, so that a slot which a call frees while it waits to be retried
    is used at once.
    """

    name: str
    batch_size = 1

    def __init__(
        self,
        endpoint: Endpoint,
        rubric: Rubric,
        settings: ModelSettings,
        identity: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.rubric = rubric
        self.settings = settings
        self.name = endpoint.model
        self.concurrency = 2 * endpoint.window.maximum
        self._as_json = settings.reply != "text"
        self._top_logprobs = TOP_LOGPROBS
        self._streak = Streak()
        self._prefixes: dict[bool, str] = {}
        self._shown: Callable[[Sample], Sample] = lambda sample: sample
        redaction: dict[str, JsonValue] = {}
        if settings.redact:
            from efficient_empathy.dialogues.personal_data import RULES, redact_sample

            self._shown = redact_sample
            redaction = {REDACTS: RULES}
        self.spec = JudgeSpec(
            judge=settings.NAME,
            rubric=rubric.hash,
            settings={
                **(identity or {"model": endpoint.model, "at": endpoint.address}),
                **{name: getattr(settings, name) for name in DECODING},
                **({"reasoning_tokens": settings.room} if settings.room else {}),
                **redaction,
                **settings.fields_of_requests,
            },
        )

    def request(self, sample: Sample) -> dict[str, Any]:
        """What is asked of the endpoint for one sample, in the form asked for at present; see `llm.wire.Question`."""
        fields: dict[str, Any] = {
            "messages": self.rubric.messages(self._shown(sample), as_json=self._as_json),
            "max_tokens": self.settings.max_tokens + self.settings.room,
            "temperature": self.settings.temperature,
        }
        if self._as_json:
            fields |= {
                "json_schema": self.rubric.json_schema,
                "schema_is_optional": self.settings.reply == "auto",
            }
        if prefix := self._shared_prefix(sample):
            fields["shared_prefix"] = prefix
        if self.settings.logprobs:
            fields["top_logprobs"] = self._top_logprobs
        return fields

    def _request_in_words(self, sample: Sample) -> dict[str, Any]:
        """The same by the evaluation form."""
        as_json, self._as_json = self._as_json, False
        try:
            return self.request(sample)
        finally:
            self._as_json = as_json

    def _shared_prefix(self, sample: Sample) -> str:
        """What the user's message begins with for every sample, to the end of a line; `sample` is any."""
        as_json = self._as_json
        if as_json not in self._prefixes:
            blanks = (sample.with_texts(lambda _: "a"), sample.with_texts(lambda _: "b"))
            first, other = (self.rubric.messages(blank, as_json=as_json)[-1]["content"] for blank in blanks)
            same = next((i for i, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), 0)
            self._prefixes[as_json] = first[:same].rpartition("\n")[0]
        return self._prefixes[as_json]

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order. Raises `UserError` once too many replies in a row had no scores."""
        self._streak.check()
        return [await self._ask(sample) for sample in samples]

    async def _ask(self, sample: Sample, *, in_words: bool = False) -> Judgement:
        request = self._request_in_words(sample) if in_words else self.request(sample)
        try:
            return self.read(sample.id, await self.endpoint.complete(**request))
        except CallFailed as failure:
            if self._lowers_top_logprobs(failure, request):
                return _with_costs_of(failure, await self._ask(sample, in_words=in_words))
            self._check_options(failure)
            declines_schema = failure.declined == "json_schema" and "json_schema" in request
            if declines_schema and self.settings.reply == "auto":
                return await self._ask_in_words(sample, failure)
            answer = self.read(sample.id, failure)
            if declines_schema:
                return replace(answer, reason=f"{answer.reason} (leave --reply json out, or try --reply text)")
            return answer
        except (BudgetExhausted, Draining) as ended:
            if not ended.attempts:
                raise
            return self._failure(sample.id, str(ended), ended.attempts, ended.cost_usd, 0.0)

    async def _ask_in_words(self, sample: Sample, failure: CallFailed) -> Judgement:
        """The sample's judgement by the form, after a request with a schema failed; the next samples go that way too.

        Where the server did not say that it was the schema, they do once a request without one is answered.
        """
        if not failure.suspected:
            self._leave_schema_out(failure)
        judgement = await self._ask(sample, in_words=True)
        if judgement.state != "api_error":
            self._leave_schema_out(failure)
        return _with_costs_of(failure, judgement)

    def _lowers_top_logprobs(self, failure: CallFailed, request: dict[str, Any]) -> bool:
        """Whether the server gives fewer alternatives than this request asked for; all ask for so many from now on."""
        if failure.declined not in ("logprobs", "top_logprobs"):
            return False
        limit = alternatives_limit(failure.reason, request.get("top_logprobs", 0))
        self._top_logprobs = min(self._top_logprobs, limit or self._top_logprobs)
        return limit is not None

    def _leave_schema_out(self, failure: CallFailed) -> None:
        if not self._as_json:
            return
        self._as_json = False
        fault = "answers no request that has one" if failure.suspected else "says so"
        self.endpoint.notify_once(
            f"{self.name} takes no JSON schema: {self.endpoint.url} {fault} ({failure.reason}). "
            "The evaluation form is asked for instead, as with --reply text."
        )

    def _check_options(self, failure: CallFailed) -> None:
        """Raise `UserError` where the server does not take what the user has asked for."""
        if failure.declined in ("logprobs", "top_logprobs"):
            raise UserError(
                f"the server gives no log-probabilities: leave --logprobs out ({failure.reason})"
            ) from failure
        if failure.declined == "temperature" and self.settings.temperature:
            raise UserError(
                f"{self.name} does not take --temperature {self.settings.temperature:g}: leave it out "
                f"({failure.reason})"
            ) from failure

    def open_batches(self, sleep: Callable[[float], Awaitable[None]]) -> BatchClient:
        """The batch API of its endpoint's server."""
        from efficient_empathy.llm.batches.client import BatchClient

        return BatchClient(self.endpoint, self.settings.WIRE, sleep=sleep)

    def read(self, sample_id: str, answer: Completion | CallFailed) -> Judgement:
        """The judgement that an answer amounts to, or the failure to get one."""
        if isinstance(answer, CallFailed):
            failure = self._failure(sample_id, answer.reason, answer.attempts, answer.cost_usd, answer.latency_s)
            return replace(failure, state="refused") if answer.code == FILTERED else failure
        completion, settings = answer, self.settings
        judgement = read_completion(
            completion, sample_id, self.rubric, self.name, max_tokens=settings.max_tokens, room=settings.room
        )
        if judgement.state == "ok" and settings.logprobs:
            judgement = self._with_expectations(judgement, completion)
        self._streak.add(judgement)
        return judgement

    def _with_expectations(self, judgement: Judgement, completion: Completion) -> Judgement:
        try:
            tables = distributions(completion.text, completion.logprobs, self.rubric, judgement.scores)
        except LogprobsError as error:
            return replace(judgement, state="parse_error", scores={}, reason=f"no distribution: {error}")
        scores = {axis.name: float(np.dot(tables[axis.name], axis.values)) for axis in self.rubric.axes}
        return replace(judgement, scores=scores, probabilities=tables)

    def _failure(self, sample_id: str, reason: str, requests: int, cost_usd: float, latency_s: float) -> Judgement:
        judgement = to_judgement(sample_id, "", self.rubric, self.name, requests=requests, cost_usd=cost_usd)
        return replace(judgement, state="api_error", reason=reason, latency_s=latency_s)

    def drain(self) -> None:
        """Let nothing new go out; what is in flight is waited for."""
        self.endpoint.drain()

    async def close(self) -> None:
        """Close the endpoint's connections and its books."""
        await self.endpoint.close()
        self.endpoint.budget.close()


def _with_costs_of(failure: CallFailed, judgement: Judgement) -> Judgement:
    """The judgement that a sample has at last, with what its failed call came to."""
    return replace(
        judgement,
        requests=judgement.requests + failure.attempts,
        cost_usd=judgement.cost_usd + failure.cost_usd,
    )
