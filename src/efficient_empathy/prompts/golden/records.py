"""A golden set's manifest, and what makes two judgings comparable: how replies were asked for, and what read them."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any, ClassVar, Protocol

from pydantic import Field, JsonValue

from efficient_empathy.foundation.run.record import Part, Record
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.judges.model_settings import DECODING
from efficient_empathy.scoring.judges.registry import reads_replies
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import RulePolicy

_PARSED_BY = ("llm/thought.py", "scoring/parser.py", "scoring/judges/llm.py")


def parser_hash() -> str:
    """SHA-256 over the source of what reads replies, first 16 hexadecimal digits: any edit there is another parser."""
    digest = hashlib.sha256()
    for name in _PARSED_BY:
        digest.update((files("efficient_empathy") / name).read_bytes())
    return digest.hexdigest()[:16]


def decoding_of(spec: JudgeSpec | None) -> dict[str, JsonValue] | None:
    """How a judge's replies are asked for; None for a judge that is not asked in words."""
    settings = spec.settings if spec else {}
    return {name: settings[name] for name in DECODING if name in settings} or None


def read_by(spec: JudgeSpec | None) -> str | None:
    """`parser_hash` for a judge whose replies are parsed; None for one that answers in numbers."""
    return parser_hash() if spec is not None and reads_replies(spec.judge) else None


class RubricNote(Part):
    """The rubric that expectations or judgements came from."""

    name: str
    version: int | None = None
    hash: str
    axes: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, rubric: Rubric) -> RubricNote:
        """What is kept of a rubric."""
        return cls(name=rubric.name, version=rubric.version, hash=rubric.hash, axes=rubric.scales)


class Origin(Part):
    """Where a golden set is from; None where that is not known."""

    by: str | None = None
    """Who made it, such as hand."""
    source: str | None = None
    """What it was drawn from."""
    seed: int | None = None
    scored: int | None = None
    """Samples with scores that it was drawn from."""
    readings: int = 1
    """Judgements behind each expected score."""
    scores: str | None = None
    """Hash of the scores' file."""


class GoldenManifest(Record):
    """`manifest.json`. What is null is not known, as with expectations of people, and is not compared."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "manifest.json of a golden set"
    REMEDY = "`efficient-empathy prompts golden --check FOLDER --write`"

    name: str = Field(min_length=1)
    items: int
    """How many there are."""
    corpus: str
    """`corpus_hash` of the items' ids."""
    rubric: RubricNote | None = None
    judge: JudgeSpec | None = None
    """The judge that gave the expected scores."""
    decoding: dict[str, JsonValue] | None = None
    """How its replies were asked for."""
    parser: str | None = None
    """`parser_hash` of what read its replies."""
    origin: Origin = Origin()
    policy: RulePolicy | None = None
    """The policy whose subsets are watched."""


class Judging(Protocol):
    """What a manifest and a result of `prompts test` both say of a judging."""

    @property
    def corpus(self) -> str:
        """The items' hash."""
        ...

    @property
    def rubric(self) -> RubricNote | None:
        """What was asked."""
        ...

    @property
    def parser(self) -> str | None:
        """What read the replies."""
        ...

    @property
    def decoding(self) -> dict[str, JsonValue] | None:
        """How replies were asked for."""
        ...


class Mismatch(Part):
    """One thing that keeps two judgings from being compared, and what to do about it."""

    what: str
    now: Any
    before: Any
    remedy: str


def mismatches(now: Judging, before: Judging) -> list[Mismatch]:
    """What keeps two judgings from being compared.

    Looks at `corpus`, the rubric's `axes`, `parser` and `decoding`; what either does not know is not compared, so that
    an LLM can be held against people, or against the distilled judge.
    """
    axes = [judging.rubric.axes if judging.rubric else None for judging in (now, before)]
    pairs: list[tuple[str, Any, Any, str]] = [
        ("corpus", now.corpus, before.corpus, "take a baseline that was made with the same golden set"),
        ("axes", axes[0], axes[1], "take a rubric with the same axes and scales"),
        ("parser", now.parser, before.parser, "judge the baseline again with this version"),
    ]
    mine, theirs = (
        {name: _as_text(value) for name, value in (judging.decoding or {}).items()} for judging in (now, before)
    )
    for key in [name for name in mine if name in theirs]:
        option = f"--{key.replace('_', '-')}"
        pairs.append((f"decoding: {key}", mine[key], theirs[key], f"ask with {option} {theirs[key]}"))
    return [
        Mismatch(what=what, now=one, before=other, remedy=remedy)
        for what, one, other, remedy in pairs
        if one is not None and other is not None and one != other
    ]


def _as_text(value: JsonValue) -> str:
    """A setting as it is given on the command line, so that 0 is 0.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)
