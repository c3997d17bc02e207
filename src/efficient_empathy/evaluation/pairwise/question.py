"""Which of two models' responses to a sample is better: the pairs, and the question that the scoring loop asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
from polars.exceptions import PolarsError
from pydantic import model_validator

from efficient_empathy.dialogues import Sample, Utterance, sample_id
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import load
from efficient_empathy.modelling.generation.job import few
from efficient_empathy.modelling.generation.replies import reply_names, require_replies
from efficient_empathy.scoring.judges.contract import Judgement
from efficient_empathy.scoring.rubric import Rubric, fence

AXIS = "preference"
Choice = Literal["first", "second", "tie"]
CHOICES: tuple[Choice, ...] = ("tie", "first", "second")
"""By the number that the judge answers."""
REFERENCE = "reference"
"""The name of the responses that the samples themselves have."""


@dataclass(frozen=True, slots=True)
class Pair(Sample):
    """A sample with two responses in the order in which the judge sees them: `response` first, then `second`.

    Its id is a hash of context, responses and their order, so either order is a question of its own, and the same one
    whichever model is called the baseline.
    """

    second: str = ""

    @classmethod
    def of_two(cls, context: tuple[Utterance, ...], first: str, second: str, dialogue_id: str) -> Pair:
        """Make a pair and give it its id."""
        known_by = sample_id(context, json.dumps([first, second]))
        return cls(known_by, dialogue_id, len(context), context, first, second=second)

    def texts(self) -> list[str]:
        """The turns of the context, then both responses."""
        return [*(turn.text for turn in self.context), self.response, self.second]

    def with_texts(self, change: Callable[[str], str]) -> Pair:
        """The same question about other texts, with the id of these."""
        context = tuple(Utterance(turn.role, change(turn.text)) for turn in self.context)
        return Pair.of_two(context, change(self.response), change(self.second), self.dialogue_id)


class PairRubric(Rubric):
    """A rubric whose prompt shows two responses and whose one axis names the better: 1 or 2, or 0 for neither."""

    placeholders: ClassVar[tuple[str, ...]] = ("axes", "context", "first", "second", "reply")

    @model_validator(mode="after")
    def _one_axis(self) -> PairRubric:
        if [(axis.name, axis.scale) for axis in self.axes] != [(AXIS, (0, 2))]:
            raise ValueError(f"a pairwise rubric has one axis, {AXIS}, with the scale [0, 2]")
        return self

    @classmethod
    def load(cls, path: Path | str | None = None) -> PairRubric:
        """Read a pairwise rubric's file; without one, the package's own. Raises `UserError`."""
        source = Path(path) if path else files(__package__) / "preference.yaml"
        return load(cls, source, "the pairwise rubric")

    def _dialogue(self, sample: Sample) -> dict[str, str]:
        if not isinstance(sample, Pair):
            raise TypeError(f"a pairwise rubric asks about a Pair, not a {type(sample).__name__}")
        mark = sample.id[:12]
        return {
            "context": fence("context", mark, sample.context),
            "first": fence("response 1", mark, [Utterance("listener", sample.response)]),
            "second": fence("response 2", mark, [Utterance("listener", sample.second)]),
        }


def choice_of(judgement: Judgement) -> Choice | None:
    """What an ok judgement names the better, None of a failed one. Raises `UserError` for a score between two."""
    if judgement.state != "ok":
        return None
    score = judgement.scores[AXIS]
    if score not in range(len(CHOICES)):
        raise UserError(
            f"the judge {judgement.judge!r} gives {AXIS} as {score:g}, but only 0, 1 and 2 are answers: an average, "
            "such as an expected score over log-probabilities, names no response"
        )
    return CHOICES[int(score)]


def read_pairs(workspace: Workspace, a: str, b: str, samples: int | None = None) -> pl.DataFrame:
    """`sample_id`, `dialogue_id`, `context`, `a`, `b`: one row a distinct sample, in the samples' order.

    `a` and `b` are models of `generations/`, or `reference`. A response is null where its model failed. With `samples`
    at most so many rows: those with the lowest ids, which are hashes of the text, so the same ones for every pair.
    Raises `UserError` where the two did not answer the same samples.
    """
    if a == b:
        raise UserError(f"--a and --b are both {a}: name two different models")
    path = workspace.require(workspace.samples, "score SOURCE")
    columns = ["sample_id", "dialogue_id", "context", "response"]
    everything = pl.read_parquet(path, columns=columns, glob=False).unique(
        "sample_id", keep="first", maintain_order=True
    )
    responses = {name: _responses(workspace, name) for name in (a, b) if name != REFERENCE}
    ids = {name: set(frame["sample_id"]) for name, frame in responses.items()}
    if len(ids) == 2 and ids[a] != ids[b]:
        raise UserError(
            f"{a} answered {len(ids[a]):,} samples and {b} {len(ids[b]):,}, {len(ids[a] & ids[b]):,} of them the same: "
            "generate both on the same samples"
        )
    sample_ids = next(iter(ids.values()))
    rows = everything.filter(pl.col("sample_id").is_in(list(sample_ids)))
    if len(rows) != len(sample_ids):
        raise UserError(
            f"{len(sample_ids) - len(rows):,} of the responses are to samples that {path} does not hold any more: "
            "generate again"
        )
    rows = few(rows, samples)
    responses[REFERENCE] = everything.select("sample_id", "response")
    for column, name in (("a", a), ("b", b)):
        rows = rows.join(
            responses[name].rename({"response": column}), on="sample_id", how="left", maintain_order="left"
        )
    return rows.select("sample_id", "dialogue_id", "context", "a", "b")


def _responses(workspace: Workspace, name: str) -> pl.DataFrame:
    there = reply_names(workspace)
    if name not in there:
        available = f"there are {', '.join([*there, REFERENCE])}" if there else "there are none yet"
        raise UserError(
            f"{workspace.root} has no responses of {name!r}, {available}: `efficient-empathy generate --run "
            f"{workspace.root} --model {name}` makes them"
        )
    path = require_replies(workspace, name)
    try:
        frame = pl.read_parquet(path, columns=["sample_id", "response"], glob=False)
    except (OSError, PolarsError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    return frame.unique("sample_id", keep="first", maintain_order=True)
