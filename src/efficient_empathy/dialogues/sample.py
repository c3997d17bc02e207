"""What is scored and selected: one context and one listener response."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

Role = Literal["speaker", "listener"]
Side = Literal["chosen", "rejected"]
SYNTHETIC = "synthetic"
"""The split of samples that a model has made: models are trained on them, never tested."""

UTTERANCE = pl.Struct({"role": pl.String(), "text": pl.String})
SAMPLE_SCHEMA = pl.Schema(
    {
        "sample_id": pl.String(),
        "dialogue_id": pl.String(),
        "turn": pl.Int32(),
        "context": pl.List(UTTERANCE),
        "response": pl.String(),
        "category": pl.String(),
        "split": pl.String(),
        "source": pl.String(),
        "side": pl.String(),
    }
)
"""The columns of `samples.parquet`, one row a sample in input order."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn: who said it, and what."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One context (the turns so far, speaker first and last) and the listener's response to it.

    `id` is a hash of the text alone, so the same exchange has the same id in any file, and is judged once.
    `turn` is the response's position in its conversation, counted from 0. `side` is what preference data says of the
    response: both sides of a pair have the same `dialogue_id` and `turn`.
    """

    id: str
    dialogue_id: str
    turn: int
    context: tuple[Utterance, ...]
    response: str
    category: str | None = None
    split: str | None = None
    source: str | None = None
    side: Side | None = None

    @classmethod
    def of(
        cls,
        context: Sequence[Utterance],
        response: str,
        *,
        dialogue_id: str | None = None,
        turn: int | None = None,
        category: str | None = None,
        split: str | None = None,
        source: str | None = None,
        side: Side | None = None,
    ) -> Sample:
        """Make a sample and give it its id; without a `dialogue_id` the conversation is known by its first turn."""
        return cls(
            id=sample_id(context, response),
            dialogue_id=dialogue_id if dialogue_id is not None else _digest([f"{context[0].role}\0{context[0].text}"]),
            turn=turn if turn is not None else len(context),
            context=tuple(context),
            response=response,
            category=category,
            split=split,
            source=source,
            side=side,
        )

    def texts(self) -> list[str]:
        """All that was said: the turns of the context, then the response."""
        return [*(turn.text for turn in self.context), self.response]

    def with_texts(self, change: Callable[[str], str]) -> Sample:
        """The same with every text changed and the id of what it then says; itself where nothing changes."""
        context = tuple(Utterance(turn.role, change(turn.text)) for turn in self.context)
        response = change(self.response)
        if context == self.context and response == self.response:
            return self
        return replace(self, id=sample_id(context, response), context=context, response=response)

    def row(self) -> dict[str, Any]:
        """The sample as a row of `SAMPLE_SCHEMA`."""
        return {
            "sample_id": self.id,
            "dialogue_id": self.dialogue_id,
            "turn": self.turn,
            "context": [{"role": u.role, "text": u.text} for u in self.context],
            "response": self.response,
            "category": self.category,
            "split": self.split,
            "source": self.source,
            "side": self.side,
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Sample:
        """The inverse of `row`."""
        context = tuple(Utterance(u["role"], u["text"]) for u in row["context"])
        rest = {k: row[k] for k in ("dialogue_id", "turn", "response", "category", "split", "source")}
        return cls(id=row["sample_id"], context=context, side=row.get("side"), **rest)


def sample_id(context: Sequence[Utterance], response: str) -> str:
    """128 bits of SHA-256 over the turns and the response, as 32 hexadecimal digits."""
    return _digest([*(f"{u.role}\0{u.text}" for u in context), f"response\0{response}"])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
