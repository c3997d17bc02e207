"""The design of a rating: which responses are rated, and which rater sees them when and on which side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.evaluation.ratings.draws import Draws, new_secret
from efficient_empathy.evaluation.ratings.questions import (
    COMMENT,
    ITEM,
    TEXT_COLUMNS,
    Question,
    Questionnaire,
    Task,
    load_questionnaire,
    writable,
)
from efficient_empathy.evaluation.ratings.record import Identical, Item, fingerprint
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.replies import reply_names, require_replies
from efficient_empathy.selection.shares import tie_hash

REFERENCE = "reference"
"""The name under which the samples' own responses can be rated beside the models'."""


@dataclass(frozen=True)
class Material:
    """The samples that are rated and what each model responded; nothing is missing."""

    samples: pl.DataFrame
    """`sample_id`, `dialogue_id`, `context`; one row a sample."""
    responses: Mapping[str, Mapping[str, str]]
    """model → sample id → response."""
    available: int
    """Samples that all models responded to."""
    without: int
    """Samples that some model responded to and another did not, so that they are left out."""


def material(
    samples: pl.DataFrame,
    responses: Mapping[str, pl.DataFrame],
    *,
    count: int | None,
    seed: int,
    only: Collection[str] | None = None,
) -> Material:
    """At most `count` samples that every model responded to: by seeded hash, from as many dialogues as can be.

    `samples` has `sample_id`, `dialogue_id` and `context`; `responses` has of each model a frame of `sample_id` and
    `response`, null where it failed. With `only`, of the samples with these ids. Raises `UserError` where no sample has
    a response of every model.
    """
    if only is not None:
        samples = samples.filter(pl.col("sample_id").is_in(list(only)))
    answers = {
        name: frame.drop_nulls("response").unique("sample_id", keep="first") for name, frame in responses.items()
    }
    common = samples.unique("sample_id", keep="first", maintain_order=True)
    some = pl.concat([frame.select("sample_id") for frame in answers.values()]).unique()
    any_model = len(common.join(some, on="sample_id", how="semi"))
    for frame in answers.values():
        common = common.join(frame, on="sample_id", how="semi")
    if common.is_empty():
        raise UserError(
            f"no sample{'' if only is None else ' of these'} has a response of every one of {', '.join(responses)}: "
            "generate them for the same samples"
        )
    hashed = common.with_columns(tie=pl.Series(tie_hash(common["sample_id"], seed), dtype=pl.UInt64))
    first = pl.col("tie").rank("ordinal").over("dialogue_id").alias("nth")
    selection = hashed.with_columns(first).sort("nth", "tie", "sample_id").head(count or len(common))
    rows = selection.select("sample_id", "dialogue_id", "context")
    texts = {
        name: dict(rows.join(frame, on="sample_id").select("sample_id", "response").iter_rows())
        for name, frame in answers.items()
    }
    return Material(rows, texts, len(common), any_model - len(common))


def material_of_run(
    workspace: Workspace, models: Sequence[str], *, count: int | None, seed: int, only: Collection[str] | None = None
) -> Material:
    """The `material` of a run's `generations/MODEL.parquet`; `reference` is the samples' own response."""
    if len(set(models)) < len(models):
        raise UserError("--models names a model twice: name each once")
    path = workspace.require(workspace.samples, "score SOURCE")
    columns = ["sample_id", "dialogue_id", "context", "response"]
    samples = _read(path, columns)
    responses = {
        name: samples.select("sample_id", "response") if name == REFERENCE else _read_responses(workspace, name)
        for name in models
    }
    return material(samples, responses, count=count, seed=seed, only=only)


def _read_responses(workspace: Workspace, model: str) -> pl.DataFrame:
    names = reply_names(workspace)
    if model not in names:
        available = f"there are {', '.join(names)} and {REFERENCE}" if names else "nothing was generated yet"
        raise UserError(
            f"{workspace.root} has no responses of {model!r} ({available}): run `efficient-empathy generate` with "
            f"--run {shell(workspace.root)} --model {model} first"
        )
    return _read(require_replies(workspace, model), ["sample_id", "response"])


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=columns, glob=False)
    except (OSError, PolarsError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def shown_context(context: Sequence[Mapping[str, Any]]) -> str:
    """The turns as a rater reads them, a line each."""
    return "\n".join(f"{turn['role'].capitalize()}: {turn['text']}" for turn in context)


NO_RESPONSE = "(the listener says nothing)"
TITLES: dict[Task, str] = {"likert": "Ratings", "ab": "Comparisons"}


@dataclass(frozen=True)
class Design:
    """How the sheets are made."""

    raters: tuple[str, ...]
    questionnaire: Questionnaire = field(default_factory=load_questionnaire)
    """What raters are asked."""
    against: str | None = None
    """Compare every model with this one alone; every two models otherwise."""
    overlap: int | None = None
    """So many raters get each sample, with all that is asked of it; None: every rater."""
    repeats: float = 0.05
    """The share of a task's items that a rater sees a second time; at least one unless it is 0."""
    seed: int = 0
    """Of the samples; the same seed under another secret gives other orders, sides and ids."""
    secret: str = field(default_factory=new_secret, repr=False)
    """What orders, sides, repeats and ids are drawn with: another for each design, unless it is one made before."""


@dataclass(frozen=True)
class Row:
    """What a rater sees of one item."""

    item: str
    key: Item
    context: str
    responses: tuple[str, ...]


@dataclass(frozen=True)
class Sheets:
    """The rows of every rater by task, in their order, and the ties that nobody is asked about."""

    rows: dict[str, dict[Task, list[Row]]]
    identical: list[Identical] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """The columns of one task: the item, the texts, the answers, the comment."""

    task: Task
    questions: tuple[Question, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of what is shown."""
        return TEXT_COLUMNS[self.task]

    @property
    def answers(self) -> tuple[str, ...]:
        """The columns to be filled in: the questions' names."""
        return tuple(question.name for question in self.questions)

    @property
    def columns(self) -> tuple[str, ...]:
        """All column names in their order."""
        return (ITEM, *self.texts, *self.answers, COMMENT)

    def cells(self, row: Row) -> list[str]:
        """A row to be filled in."""
        return [row.item, row.context, *row.responses, *("" for _ in self.answers), ""]


def layout_of(task: Task, questionnaire: Questionnaire) -> Layout:
    """The columns of a task."""
    return Layout(task, tuple(questionnaire.questions(task)))


def design_sheets(material: Material, design: Design) -> Sheets:
    """Every rater rates the items of their samples, in an order of their own, which the design's secret decides.

    An item is a response, not a model: models that gave a sample the same response (blanks aside) are rated once for
    all of them, and are not compared. Of a comparison it is drawn for every rater which response stands left. The
    repeats come from the first third of the order and stand in the last; a comparison's has its sides swapped. With an
    overlap the secret decides who gets which samples, see `assign`.
    Raises `UserError` for a design that asks nothing, or somebody nothing.
    """
    models, tasks = list(material.responses), design.questionnaire.tasks
    if design.against is not None and design.against not in models:
        raise UserError(f"--against names {design.against!r}, which is none of --models {','.join(models)}")
    if "ab" in tasks and len(models) < 2:
        raise UserError("an A/B comparison needs two models or more: name them with --models, or use --no-ab")
    draws = Draws(design.secret, design.seed)
    units: dict[Task, list[Row]] = {task: [] for task in tasks}
    same: list[tuple[str, str, str]] = []
    for sample_id, _, context in material.samples.iter_rows():
        groups = _groups(material, sample_id)
        context_text = writable(shown_context(context))
        same += [
            (sample_id, a, b)
            for a, b in _pairs(models, design.against)
            if any(a in group and b in group for group in groups)
        ]
        for task, rows in units.items():
            for sides in _sides(task, groups, design.against):
                texts = tuple(writable(material.responses[group[0]][sample_id].strip()) for group in sides)
                rows.append(_row(task, sample_id, sides, context_text, tuple(text or NO_RESPONSE for text in texts)))
    if not any(units.values()):
        raise UserError("all responses are identical: there is nothing to compare")
    counts = Counter(row.key.sample_id for rows in units.values() for row in rows)
    weights = {sample: max(1, counts[sample]) for sample in material.samples["sample_id"]}
    raters_of = assign(weights, design.raters, design.overlap, draws)
    sheets: dict[str, dict[Task, list[Row]]] = {}
    for rater in design.raters:
        own = {task: [row for row in rows if rater in raters_of[row.key.sample_id]] for task, rows in units.items()}
        orders = {task: _sheet(rows, design.repeats, draws, rater) for task, rows in own.items()}
        sheets[rater] = {task: rows for task, rows in orders.items() if rows}
        if not sheets[rater]:
            raise UserError(
                f"{len(weights):,} samples are too few for {len(design.raters):,} raters with an overlap of "
                f"{design.overlap}: {rater} would get none; take more samples, a larger overlap or fewer raters"
            )
    identical = [Identical(sample_id=sample, a=a, b=b, raters=raters_of[sample]) for sample, a, b in same]
    return Sheets(sheets, identical if "ab" in tasks else [])


def assign(
    weights: Mapping[str, int], raters: Sequence[str], overlap: int | None, draws: Draws
) -> dict[str, tuple[str, ...]]:
    """The raters of each sample, `overlap` of them, in the order of `raters`; `weights` are a sample's tasks.

    A sample goes whole to its raters, so that models are compared by the same people. In a drawn order each sample
    goes to those who have the fewest tasks so far, and of those to whoever shared the fewest samples with the others
    of it, so that everybody overlaps with everybody. Raises `UserError` for an overlap that cannot be.
    """
    if overlap is None or overlap == len(raters):
        return dict.fromkeys(weights, tuple(raters))
    if not 1 <= overlap < len(raters):
        raise UserError(f"the overlap is {overlap}, and there are {len(raters):,} raters: take 1 to {len(raters):,}")
    load = np.zeros(len(raters), dtype=np.int64)
    shared = np.zeros((len(raters), len(raters)), dtype=np.int64)
    raters_of: dict[str, tuple[str, ...]] = {}
    for sample in draws.shuffled(weights, lambda sample: ("assign", sample)):
        first = draws.number("assigned", sample) % len(raters)
        turn = (np.arange(len(raters)) - first) % len(raters)
        chosen: list[int] = []
        for _ in range(overlap):
            together = shared[:, chosen].sum(1)
            order = np.lexsort((turn, together, load))
            chosen.append(int(next(place for place in order if place not in chosen)))
        load[chosen] += weights[sample]
        for one in chosen:
            shared[one, [other for other in chosen if other != one]] += 1
        raters_of[sample] = tuple(raters[place] for place in sorted(chosen))
    return raters_of


def _groups(material: Material, sample_id: str) -> list[list[str]]:
    """The models by what they responded to a sample."""
    groups: dict[str, list[str]] = {}
    for model, responses in material.responses.items():
        groups.setdefault(" ".join(responses[sample_id].split()), []).append(model)
    return list(groups.values())


def _pairs(models: Sequence[str], against: str | None) -> list[tuple[str, str]]:
    return [(a, b) for a, b in combinations(models, 2) if against in (None, a, b)]


def _sides(task: Task, groups: list[list[str]], against: str | None) -> Iterator[list[list[str]]]:
    """The responses that one row shows together, for every row that a sample gives."""
    if task == "likert":
        yield from ([group] for group in groups)
    else:
        yield from ([a, b] for a, b in combinations(groups, 2) if against is None or against in (*a, *b))


def _row(task: Task, sample_id: str, sides: list[list[str]], context: str, responses: tuple[str, ...]) -> Row:
    key = Item(task=task, sample_id=sample_id, sides=sides, text=fingerprint([context, *responses]))
    return Row("", key, context, responses)


def _sheet(rows: Sequence[Row], repeats: float, draws: Draws, rater: str) -> list[Row]:
    """One rater's rows of one task, as `design_sheets` says."""

    def drawn(what: str, row: Row) -> tuple[object, ...]:
        return what, rater, row.key.task, row.key.sample_id, sorted(row.key.sides)

    items = [
        replace(_swap(row) if draws.number(*drawn("side", row)) % 2 else row, item=draws.new_id(*drawn("first", row)))
        for row in draws.shuffled(rows, lambda row: drawn("order", row))
    ]
    again = min(len(items), math.ceil(repeats * len(items)))
    early = items[: max(again, len(items) // 3)]
    for row in draws.shuffled(early, lambda row: drawn("repeat", row))[:again]:
        repeated = _swap(row)
        key = repeated.key.model_copy(update={"repeat_of": row.item})
        earliest = max(items.index(row) + 1, len(items) * 2 // 3)
        place = earliest + draws.number(*drawn("place", row)) % (len(items) + 1 - earliest)
        items.insert(place, replace(repeated, item=draws.new_id(*drawn("again", row)), key=key))
    return items


def _swap(row: Row) -> Row:
    """The row with its sides swapped; a rating has none."""
    sides, responses = row.key.sides[::-1], row.responses[::-1]
    text = fingerprint([row.context, *responses])
    return replace(row, key=row.key.model_copy(update={"sides": sides, "text": text}), responses=responses)
