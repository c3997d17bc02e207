"""A model that is asked: prompts go to it, and each reply is journalled before the next is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import Misplaced, UserError
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.backends import BACKENDS, Generator, Prompt, Reply, choose_backend
from efficient_empathy.modelling.generation.endpoint import EndpointGenerator
from efficient_empathy.modelling.generation.replies import Journal, Replies
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings
from efficient_empathy.modelling.progress import GenerationProgress


class Asker:
    """A model in this process, which is loaded when it is first asked and stays, or one behind an endpoint.

    `name` is what the progress is shown under, `model` what the endpoint calls it, `path` where a local one lies.
    """

    def __init__(
        self,
        name: str,
        model: str,
        path: Path | str,
        settings: GenerationSettings,
        endpoint: EndpointOptions | None = None,
    ) -> None:
        self.name, self._model, self._path = name, model, path
        self._settings, self._endpoint = settings, endpoint
        self._generator: Generator | None = None

    @property
    def backend(self) -> str:
        """What runs it: endpoint, or the backend that the settings ask for. Raises `UserError` without the extra."""
        return "endpoint" if self._endpoint else choose_backend(self._settings)

    def ask(
        self,
        ids: Sequence[str],
        prompts: Sequence[Prompt],
        done: Collection[int],
        journal: Journal,
        so_far: Replies,
        console: Console,
    ) -> Ending:
        """Have all prompts answered but those at the positions `done`; each reply goes to `journal` and `so_far`.

        `ids` are what the replies are kept under, one a prompt. Raises `UserError` for what concerns all prompts.
        """
        progress = GenerationProgress(console, self.name, len(ids), len(done))
        since = time.monotonic()

        def keep(replies: list[Reply]) -> None:
            nonlocal since
            now = time.monotonic()
            kept = [ids[reply.prompt] for reply in replies]
            journal.append(kept, replies, now - since)
            so_far.by_sample.update(zip(kept, replies, strict=True))
            so_far.seconds += now - since
            since = now
            progress.update(replies)

        try:
            if self._endpoint is not None:
                return self._call(self._endpoint, prompts, done, journal, so_far, keep, progress, console)
            if self._generator is None:
                self._generator = BACKENDS[self.backend](self._path, self._settings)
            with progress:
                for replies in self._generator.generate(prompts, frozenset(done)):
                    keep(replies)
        except KeyboardInterrupt:
            return "stopped"
        except Misplaced:
            raise
        except UserError as error:
            answered = sum(one in so_far.by_sample and so_far.by_sample[one].text is not None for one in ids)
            remains = f"{answered:,} of {len(ids):,} responses are kept; the same command goes on from there"
            raise UserError(f"{error} ({remains}.)") from error
        return "complete"

    def _call(
        self,
        endpoint: EndpointOptions,
        prompts: Sequence[Prompt],
        done: Collection[int],
        journal: Journal,
        so_far: Replies,
        keep: Callable[[list[Reply]], None],
        progress: GenerationProgress,
        console: Console,
    ) -> Ending:
        generator = EndpointGenerator.load(
            self._model, self._settings, endpoint, spent_usd=so_far.cost_usd, journal=journal.commit_usd
        )
        try:
            with progress:
                return generator.run(prompts, done, keep, console)
        finally:
            so_far.cost_usd = generator.endpoint.budget.spent_usd
