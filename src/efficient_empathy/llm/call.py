"""One call: what is sent, what it may cost by the list of prices, what its attempts came to, and its answer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import FailureKind, Fault
from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.llm.wire import Question, Reply
from efficient_empathy.llm.wire.contract import request_body

if TYPE_CHECKING:
    from efficient_empathy.llm.transport import Secrets

BUNDLED = Path(__file__).with_name("prices.yaml")
"""Public list prices; its comment says of when."""

_VERSION = re.compile(r"([-@](\d{4}-\d{2}-\d{2}|\d{8}|(0[1-9]|1[0-2])[0-3]\d)|-latest)\Z")
_PRICES = {"input", "output", "cached", "written"}
_FORM = "MODEL: {input: 2.50, output: 10.00}"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    cached: float | None = None
    """For prompt tokens read from a cache; as any others where it is not known."""
    written: float | None = None
    """For prompt tokens written to a cache; a quarter more than others where it is not known, as at Anthropic."""

    def cost(self, prompt_tokens: int, completion_tokens: int, read: int = 0, written: int = 0) -> float:
        """US dollars for these tokens; `read` and `written` are those of the prompt that a cache had or got."""
        dollars = prompt_tokens * self.input + completion_tokens * self.output
        if read or written:
            dollars += read * ((self.input if self.cached is None else self.cached) - self.input)
            dollars += written * (self.write_price - self.input)
        return dollars / 1e6

    @property
    def write_price(self) -> float:
        """US dollars per million prompt tokens that are written to a cache."""
        return 1.25 * self.input if self.written is None else self.written


FREE = Price(0.0, 0.0)


class Prices:
    """Prices by model name."""

    def __init__(self, by_model: Mapping[str, Price]) -> None:
        self._by_model = dict(by_model)

    @classmethod
    def load(cls, path: Path | str | None = None) -> Prices:
        """The bundled list, and `path`'s entries before it. Raises `UserError` where the file is not such a list."""
        prices = _read(BUNDLED)
        return cls(prices if path is None else {**prices, **_read(Path(path))})

    def find(self, model: str) -> Price | None:
        """The price listed for `model`, or else for its name without the version at its end; None if there is neither.

        A version is a date or `latest`: `gpt-4o` covers `gpt-4o-2024-08-06` and `gpt-4o-0806`, not `gpt-4o-mini`. A
        name with a provider before a slash (`openai/gpt-4o`) that is not listed counts as the name after it.
        """
        for name in (model, model.rsplit("/", 1)[-1]):
            price = self._by_model.get(name) or self._by_model.get(_VERSION.sub("", name))
            if price is not None:
                return price
        return None


def _read(path: Path) -> dict[str, Price]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the prices file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the prices file {path} is not YAML ({reason}): write lines such as {_FORM}") from error
    if not isinstance(content, dict):
        raise UserError(f"the prices file {path} has no models: write lines such as {_FORM}")
    return {str(model): _price(entry, path, model) for model, entry in content.items()}


def _price(entry: Any, path: Path, model: Any) -> Price:
    is_price = isinstance(entry, dict) and {"input", "output"} <= set(entry) <= _PRICES
    if is_price and all(type(one) in (int, float) and math.isfinite(one) and one >= 0 for one in entry.values()):
        return Price(**{name: float(value) for name, value in entry.items()})
    raise UserError(f"{path}: the price of {model} is not US dollars per million tokens: write it as {_FORM}")


@dataclass(frozen=True, slots=True)
class Completion:
    """A call's answer. `logprobs` is the server's list of token entries, `thought` what it sent as reasoning.

    `cost_usd` and `attempts` cover all attempts of the call, `latency_s` the last one. Where the server reports no
    usage, the token counts are estimates (four bytes a token) and the cost is the call's upper bound.
    """

    text: str
    finish_reason: str
    refusal: str | None
    logprobs: list[Any] | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    latency_s: float
    attempts: int
    thought: str = ""

    @property
    def answer(self) -> str:
        """The text without what the model thinks aloud, stripped; empty where it ends inside a thought."""
        answer = strip_thoughts(self.text)
        return "" if answer.unfinished else answer.text.strip()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would take: a guess at tokens and dollars, and the dollars that an attempt cannot exceed.

    The guess is four bytes a prompt token, and a completion as long as allowed.
    """

    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    max_cost_usd: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts so far.

    `failures` counts failed attempts by kind, whether or not a retry helped; `concurrency` is the window's ceiling now;
    `spent_usd` is this endpoint's share of the budget.
    """

    requests: int
    retries: int
    successes: int
    failures: Counter[FailureKind]
    concurrency: int
    in_flight: int
    spent_usd: float


@dataclass(slots=True)
class Call:
    """A question, its request's fields and body, and the attempts, dollars and (of the last attempt) seconds so far.

    `refusals` are the attempts that patience is for (rate limits, a model being loaded), `refused_s` the seconds
    waited for them.

    `bound_usd` is what one attempt cannot exceed: a token is at least one byte of the request, `overhead` is what the
    server may add, and `completion_tokens` is as many as it may generate.
    """

    question: Question
    fields: Mapping[str, Any]
    price: Price
    overhead: int
    attempts: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    refusals: int = 0
    refused_s: float = 0.0
    body: bytes = field(init=False)
    completion_tokens: int = field(init=False)
    bound_usd: float = field(init=False)

    def __post_init__(self) -> None:
        self.body = request_body(self.fields)
        limits = (self.fields.get(name, 0) for name in ("max_tokens", "max_completion_tokens"))
        self.completion_tokens = max(limits) * max(1, self.fields.get("n", 1))
        prompt = len(self.body) + self.overhead
        cached = prompt if b'"cache_control"' in self.body else 0
        self.bound_usd = self.price.cost(prompt, self.completion_tokens, written=cached)

    def cost_of(self, outcome: Reply | Fault) -> float:
        """US dollars for one attempt: what its usage comes to, or the upper bound where it may have been billed."""
        if outcome.usage is not None:
            return self.price.cost(*outcome.usage, *(outcome.cached if isinstance(outcome, Reply) else ()))
        return self.bound_usd if isinstance(outcome, Reply) or outcome.billed else 0.0

    def estimate(self) -> Estimate:
        """What an attempt would take."""
        prompt_tokens = len(self.body) // 4
        return Estimate(
            prompt_tokens=prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost_usd=self.price.cost(prompt_tokens, self.completion_tokens),
            max_cost_usd=self.bound_usd,
        )

    def completion(self, reply: Reply, secrets: Secrets) -> Completion:
        """The answer, with what all attempts came to."""
        prompt, completion = reply.usage or (len(self.body) // 4, -(-len(reply.text.encode()) // 4))
        return Completion(
            text=secrets.scrub(reply.text),
            finish_reason=secrets.scrub(reply.finish_reason),
            refusal=None if reply.refusal is None else secrets.scrub(reply.refusal),
            logprobs=reply.logprobs,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=self.cost_usd,
            latency_s=self.latency_s,
            attempts=self.attempts,
            thought=secrets.scrub(reply.thought),
        )
