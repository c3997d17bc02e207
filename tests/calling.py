"""Calls an endpoint for tests, without sleeping."""

import asyncio
import random
from typing import Any

from efficient_empathy.llm import CallFailed, Completion, Endpoint

KEY = "tok-0123456789abcdef"


class Client:
    """Makes endpoints that do not sleep, and calls that all end in a completion or an exception."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.endpoint: Endpoint

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def __call__(self, url: str, calls: int = 1, *, call: dict[str, Any] | None = None, **options: Any) -> list[Any]:
        defaults: dict[str, Any] = {"api_key": KEY, "timeout_s": 5.0, "sleep": self.sleep, "rng": random.Random(7)}

        async def run() -> list[Any]:
            async with Endpoint(url, options.pop("model", "gpt-4o"), **{**defaults, **options}) as self.endpoint:
                questions = [[{"role": "user", "content": f"question {number}"}] for number in range(calls)]
                arguments = {"max_tokens": 16, **(call or {})}
                done = (self.endpoint.complete(question, **arguments) for question in questions)
                results = await asyncio.gather(*done, return_exceptions=True)
                assert self.endpoint.window.in_flight == 0
                assert self.endpoint.budget.reserved_usd == 0
                assert all(KEY not in repr(result) + str(result) for result in results)
                return results

        return asyncio.run(run())

    def completion(self, url: str, **options: Any) -> Completion:
        (result,) = self(url, **options)
        if isinstance(result, BaseException):
            raise result
        assert isinstance(result, Completion)
        return result

    def failure(self, url: str, **options: Any) -> CallFailed:
        (result,) = self(url, **options)
        assert isinstance(result, CallFailed), result
        return result
