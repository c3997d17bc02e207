"""What a judge is: what it does, what its judgements are kept under, and the settings that it is built from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from pydantic import Field, JsonValue

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import Settings
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.rubric import Rubric

JudgeOptions = Mapping[str, Any]
"""Options of judges by name; each judge takes those that its settings have."""


class JudgeSpec(Part):
    """What a judgement is kept under: whatever would change an answer. The ledger has it as JSON beside its `key`."""

    judge: str
    """The judge's name among those there are, or its own where it is an object."""
    rubric: str
    """The rubric's hash."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """What else would change an answer, such as model and temperature."""
    round: int = Field(default=1, ge=1)
    """How often the same judge is asked by then; each round is kept apart, so none is paid for twice."""

    @cached_property
    def key(self) -> str:
        """SHA-256 over all of it, first 16 hexadecimal digits."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def in_round(self, number: int) -> JudgeSpec:
        """The same in its `number`-th round (1, 2, …)."""
        return JudgeSpec(judge=self.judge, rubric=self.rubric, settings=self.settings, round=number)

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        parts = {"judge": self.judge, **self.settings, "rubric": self.rubric}
        parts |= {"round": self.round} if self.round > 1 else {}
        return " ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                        for name, value in parts.items())  # fmt: skip


class JudgeReference(Part):
    """A judge with all its options, as files keep it for whoever asks the same judge later."""

    judge: str
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Those that are not the default."""


class Judge(Protocol):
    """Anything that scores samples. `name` and `judge` are enough; `CheckedJudge` sees to the rest.

    The runner hands over `batch_size` samples a call and keeps `concurrency` calls under way.
    """

    name: str
    spec: JudgeSpec
    batch_size: int
    concurrency: int

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order. Raises `UserError` when no sample at all can be judged."""
        ...

    def drain(self) -> None:
        """Let nothing new go out; what is under way goes on to its end."""
        ...

    async def close(self) -> None:
        """Release connections and sessions."""
        ...


@dataclass(frozen=True)
class JudgeContext:
    """What a judge is built for."""

    rubric: Rubric
    workspace: Workspace
    """The folder whose ledger keeps the judgements and what was spent on them."""
    source: Path | None = None
    """What is scored, where it is a file."""

    def spent_usd(self) -> float:
        """US dollars that the ledger has come to."""
        if not self.workspace.ledger.exists():
            return 0.0
        from efficient_empathy.scoring.ledger import Ledger

        with Ledger(self.workspace.ledger, read_only=True) as ledger:
            return ledger.spent_usd()


class JudgeSettings(Settings):
    """The settings of one judge, which is what makes it a plug-in: a subclass has its options as fields, and builds it.

    Options that mean the same in two judges have the same name. The module should import what the judge itself needs
    within `build`, since the settings are read for every `--help`.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("",)
    """How a reference goes on behind the judge's name, such as `:FILE`."""
    READS_RUBRIC: ClassVar[bool] = True
    """Whether another rubric could change an answer."""
    READS_REPLIES: ClassVar[bool] = False
    """Whether scores are read from a reply in words."""
    REPEATS_ITSELF: ClassVar[bool] = False
    """Whether it gives the same answer however often it is asked."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """The options that stand in a reference behind the colon. Raises `ValueError` for what cannot."""
        raise ValueError("it takes nothing behind a colon")

    def resolved(self) -> Self:
        """The same with what was left to defaults or to the environment, for whoever wants this judge later.

        It is kept in files, so it holds no secret.
        """
        return self

    def build(self, context: JudgeContext) -> Judge:
        """The judge. Raises `UserError` where it cannot be had."""
        raise NotImplementedError
