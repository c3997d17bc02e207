"""The records of generation: of responses (`generations/NAME.json`), of the stage, and the lines of their journal."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, JsonValue

from efficient_empathy.foundation.run.record import Part, Record, StageRecord
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.backends import FinishReason
from efficient_empathy.modelling.training.record import TemplateRecord


class Generation(Part):
    """What a model was asked, how it decoded, and what that took."""

    model: str
    """What the responses are kept under."""
    label: str
    """What the model is called in tables."""
    path: str
    """Its folder or hub name; of a model behind an endpoint its host."""
    template: TemplateRecord
    decoding: dict[str, JsonValue]
    part: str
    """The samples that were answered: test, held_out or all."""
    samples: int = Field(ge=0)
    backend: str
    seconds: float = Field(ge=0)
    tokens_per_second: float | None
    cost_usd: float = Field(default=0.0, ge=0)


class GenerationRecord(Record, Generation):
    """`generations/NAME.json`, beside the responses."""

    PLACE: ClassVar[str] = "generations/NAME.json"
    REMEDY: ClassVar[str] = "`efficient-empathy generate`"

    key: str
    """Model, template and decoding as a hash: replies with the same key are to the same question in the same way."""
    rows: str
    """The samples, as a hash."""
    sha256: str = ""
    """Of the responses' file."""
    failures: dict[str, str] = Field(default_factory=dict)
    """Why there is no response, by sample."""
    checksums: dict[str, str] = Field(default_factory=dict)
    """Of each sample's row in the responses' file, so that those which are as written can be told."""


class GenerateRecord(StageRecord, Generation):
    """The stage `generate:NAME`: what was generated, with which settings, and from what."""

    STAGE: ClassVar[str] = "generate"
    REMEDY: ClassVar[str] = "`efficient-empathy generate`"

    key: str
    """As in `generations/NAME.json`."""
    rows: str
    parameters: dict[str, JsonValue]
    """`GenerationSettings` as plain values."""
    inputs: dict[str, str]
    """SHA-256 by path of the samples and of the model's weights in the run, and what the model is."""


class GenerationResult(Record, Generation):
    """What `generate` did: the record, and how it went."""

    PLACE: ClassVar[str] = GenerationRecord.PLACE

    answered: int
    finish_reasons: dict[FinishReason, int]
    reasons: dict[str, int]
    """The most frequent reasons of failure."""
    output: str
    """Where the responses are."""
    ending: Ending
    skipped: bool


class JournalStart(Record):
    """The first line of a journal."""

    PLACE: ClassVar[str] = "generations/.NAME.partial.jsonl"

    key: str


class JournalReplies(Part):
    """Replies that were finished together: sample, text, finish reason, tokens of prompt and reply, reason, dollars."""

    replies: tuple[tuple[str, str | None, FinishReason, int, int, str, float], ...]
    seconds: float


class JournalSpending(Part):
    """What may have been spent before a request goes out, in all."""

    committed_usd: float
