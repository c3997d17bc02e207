"""A model behind an API, through the client's window, retries and budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from efficient_empathy.foundation.console import Console
from efficient_empathy.llm import Budget, BudgetExhausted, CallFailed, Completion, Draining, Endpoint, Prices
from efficient_empathy.llm.connection import connect
from efficient_empathy.llm.runner import Ending, Watcher, Work, run
from efficient_empathy.modelling.generation.backends import FinishReason, Prompt, Reply
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings


class EndpointGenerator:
    """Asks one call a prompt; each reply is kept before its slot asks for more."""

    backend = "endpoint"

    def __init__(self, endpoint: Endpoint, settings: GenerationSettings) -> None:
        self.endpoint, self.settings = endpoint, settings

    @classmethod
    def load(
        cls,
        model: str,
        settings: GenerationSettings,
        options: EndpointOptions,
        *,
        spent_usd: float = 0.0,
        journal: Callable[[float], None] | None = None,
    ) -> EndpointGenerator:
        """The model of that name at the options' URL; `journal` is told what is committed before money can be spent."""
        endpoint = connect(
            options.wire,
            options.base_url,
            model,
            api_key_env=options.api_key_env,
            headers=options.headers,
            extra_body=options.extra_body,
            concurrency=options.concurrency,
            timeout_s=options.timeout_s,
            max_attempts=options.max_attempts,
            budget=Budget(options.max_cost, spent_usd, journal),
            prices=Prices.load(options.prices),
        )
        return cls(endpoint, settings)

    def run(
        self,
        prompts: Sequence[Prompt],
        done: Collection[int],
        keep: Callable[[list[Reply]], None],
        console: Console,
    ) -> Ending:
        """Hand a reply to each prompt but those at the positions `done` to `keep`, in any order, as it arrives.

        At Ctrl-C nothing more is sent, and what is in flight is waited for; a second one abandons it. Raises
        `UserError` for a dead endpoint, after what has arrived is kept.
        """
        self.endpoint.notify = lambda notice: console.print(notice)
        pending = iter([i for i in range(len(prompts)) if i not in done])

        async def close() -> None:
            await self.endpoint.close()
            self.endpoint.budget.close()

        work: Work[int, Reply] = Work(
            take=lambda _: [i] if (i := next(pending, None)) is not None else [],
            ask=lambda batch: self._one(batch[0], prompts[batch[0]]),
            keep=lambda _, reply: keep([reply]),
            concurrency=2 * self.endpoint.window.maximum,
            drain=self.endpoint.drain,
            check=self.endpoint.check,
            close=close,
        )
        return run(work, Watcher(console))

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """What is asked of the endpoint for one prompt."""
        settings = self.settings
        fields: dict[str, Any] = {
            "messages": prompt,
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
        }
        if settings.temperature:
            fields |= {"top_p": settings.top_p, "seed": settings.seed}
        return fields

    async def _one(self, i: int, prompt: Prompt) -> Reply:
        try:
            return _read(i, await self.endpoint.complete(**self.request(prompt)))
        except CallFailed as failure:
            return Reply(i, None, "error", reason=failure.reason, cost_usd=failure.cost_usd)
        except (BudgetExhausted, Draining) as ended:
            if not ended.attempts:
                raise
            return Reply(i, None, "error", reason=str(ended), cost_usd=ended.cost_usd)


def _read(i: int, completion: Completion) -> Reply:
    reply = partial(
        Reply,
        i,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cost_usd=completion.cost_usd,
    )
    if completion.refusal is not None or completion.finish_reason == "content_filter":
        return reply(None, "error", reason=completion.refusal or "the server's content filter stopped it")
    finish: FinishReason = "length" if completion.finish_reason == "length" else "stop"
    if completion.text.strip() and not completion.answer:
        reason = "it only thought aloud: raise --max-new-tokens" if finish == "length" else "it only thought aloud"
        return reply(None, "error", reason=reason)
    return reply(completion.answer, finish)
