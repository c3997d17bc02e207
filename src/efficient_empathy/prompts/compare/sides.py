"""The two sides of a comparison: a rubric or a judge that is asked now, or scores that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from efficient_empathy.dialogues import SAMPLE_SCHEMA
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.compare.records import RubricNote
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.listing import known_rubrics
from efficient_empathy.prompts.settings import selected_policy
from efficient_empathy.prompts.testing.records import ItemRounds, read_result
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.judges.registry import JUDGES, reads_rubric, reference_forms
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import BUNDLED as RUBRICS
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import Decide, RulePolicy

LABELS = ("a", "b")
_LEDGER_ABOVE = 2
"""Results lie in `results/`, beside the ledger of the test."""


@dataclass(frozen=True, slots=True)
class AskedSide:
    """A judge, named by its reference, that is asked by a rubric."""

    rubric: Rubric
    judge: str
    name: str


@dataclass(frozen=True, slots=True)
class StoredSide:
    """A scored run's folder, or a result's file that `prompts test` wrote."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, or the file's."""
        return self.path.resolve().name

    @property
    def is_run(self) -> bool:
        """Whether it is a run, with samples of its own."""
        return self.path.is_dir()


@dataclass(frozen=True, slots=True)
class Side:
    """One side's scores: `scores` as in `scores.parquet` and `samples` as in `samples.parquet`, one row a sample.

    `rubric` has name, hash and, where it is known, version; `prompt` is the rubric itself, None where its text is not
    at hand. `ledger` holds the replies, under the specs of `panel`. `policy` is what it was selected or watched by, if
    it was, and `decide` what that decided on.
    """

    name: str
    judge: str
    panel: Panel
    rubric: RubricNote
    prompt: Rubric | None
    axes: tuple[Axis, ...]
    scores: pl.DataFrame
    samples: pl.DataFrame
    ledger: Path
    policy: RulePolicy | None = None
    decide: Decide = "auto"

    def replies(self, sample_ids: Sequence[str]) -> dict[str, str]:
        """The raw replies behind the scores, empty where there is no ledger; of several judges each with its name."""
        if not self.ledger.exists():
            return {}
        with Ledger(self.ledger, read_only=True) as ledger:
            if not self.panel.pools:
                return {sample_id: one.raw for sample_id, one in self.panel.answers(ledger, sample_ids).items()}
            by_sample = self.panel.judgements(ledger, sample_ids)
        replies = ("\n".join(f"{one.judge}: {one.raw}" for one in judgements if one.raw) for judgements in by_sample)
        return dict(zip(sample_ids, replies, strict=True))


def sides_of(
    first: str, second: str, judges: Sequence[str] = (), rubric: Path | str | None = None
) -> tuple[AskedSide | StoredSide, AskedSide | StoredSide]:
    """What A and B name. Rubrics are asked of `judges` (one for both, or one each), judges by `rubric`.

    Raises `UserError` for what names nothing, for an option that is missing or idle, and for A that is B.
    """
    if len(judges) > 2:
        raise UserError(f"--judge is given {len(judges)} times: once for both sides, or twice, for A and for B")
    kinds = _kind(first, "A"), _kind(second, "B")
    if judges and "rubric" not in kinds:
        raise UserError("--judge is who the rubrics are asked of, and neither A nor B is a rubric: leave it out")
    if rubric is not None and "judge" not in kinds:
        raise UserError("--rubric is what judges are asked by, and neither A nor B is a judge: leave it out")
    by_side = (judges[0], judges[-1]) if judges else (None, None)
    a, b = (_side(*of, rubric) for of in zip((first, second), kinds, by_side, strict=True))
    if isinstance(a, StoredSide) and isinstance(b, StoredSide) and a.path.resolve() == b.path.resolve():
        raise UserError(f"A and B are the same, {a.path}: there is nothing to compare")
    if isinstance(a, AskedSide) and isinstance(b, AskedSide):
        _different(a, b)
    return a, b


def _kind(text: str, label: str) -> Literal["judge", "rubric", "kept"]:
    path = Path(text)
    if text.partition(":")[0] in JUDGES:
        return "judge"
    if text in RUBRICS or (path.is_file() and path.suffix.lower() in (".yaml", ".yml")):
        return "rubric"
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".json"):
        return "kept"
    if path.suffix.lower() in (".yaml", ".yml"):
        raise UserError(f"{label}, the rubric {text}, is not found: there is no file {path.absolute()}")
    raise UserError(
        f"{label} is {text!r}, which is neither a rubric (a YAML file, {' or '.join(RUBRICS)}), nor a scored run's "
        f"folder, nor a result of `prompts test` (a JSON file), nor a judge ({reference_forms()})"
    )


def _side(text: str, kind: str, judge: str | None, rubric: Path | str | None) -> AskedSide | StoredSide:
    if kind == "kept":
        return StoredSide(Path(text))
    if kind == "judge":
        return AskedSide(Rubric.load(rubric), text, redact(text))
    own = Rubric.load(text)
    if judge is None:
        raise UserError(f"the rubric {text} has to be asked of a judge: add --judge openai:MODEL, or openai:MODEL@URL")
    return AskedSide(own, judge, Path(text).name)


def _different(a: AskedSide, b: AskedSide) -> None:
    if a.judge != b.judge:
        return
    if a.rubric.hash == b.rubric.hash:
        raise UserError(
            f"A equals B: {a.name} and {b.name} are the same rubric, {a.rubric.hash}, asked of the same judge; to "
            "learn how far a judge repeats itself, use `efficient-empathy prompts test` with -k 3"
        )
    if not reads_rubric(a.judge.partition(":")[0]):
        raise UserError(
            "the distilled judge does not read the rubric, so both rubrics would get the same scores: take a judge "
            "that does, --judge openai:MODEL"
        )


def run_side(side: StoredSide) -> Side:
    """A run's side. Raises `UserError` where the run is not scored or its files are damaged."""
    table = RunTable(Workspace(side.path), as_judged=True).require("scores")
    distributions = [f"{axis}{PROBABILITIES}" for axis in table.axis_names if table.has_distributions(axis)]
    others = [name for name in (DEPENDENCE, "answered_by") if name in table.columns]
    columns = ["sample_id", "state", *table.axis_names, *distributions, *others]
    scores, samples = (
        table.read(names).unique("sample_id", keep="first", maintain_order=True)
        for names in (columns, SAMPLE_SCHEMA.names())
    )
    record = table.workspace.stage(SCORE, ScoreRecord)
    if record is None:
        raise UserError(f"{side.path} has no scores: run {ScoreRecord.REMEDY} first")
    about, prompt = rubric_at_hand(record.rubric.name, record.rubric.hash, table.axes, side.path)
    return Side(
        side.name,
        record.judge,
        record.panel,
        about,
        prompt,
        table.axes,
        scores,
        samples.cast(SAMPLE_SCHEMA),
        table.workspace.ledger,
        selected_policy(table),
        "scores" if table.selecting and table.selecting.decide == "scores" else "auto",
    )


def result_side(side: StoredSide, golden: str | None) -> Side:
    """The side of a result of `prompts test`: each item's score is the mean over its rounds.

    The dialogues are those of `golden`, or of the package's golden set, where their ids are those of the result; else
    they are not shown. Raises `UserError` for a file that is no result.
    """
    result = read_result(side.path)
    axes = tuple(Axis(name, low, high) for name, (low, high) in result.rubric.axes.items())
    schema = {"sample_id": pl.String(), "state": pl.String(), **{axis.name: pl.Float32() for axis in axes}}
    scores = pl.DataFrame([_mean_scores(item, axes) for item in result.items], schema=schema)
    samples = pl.DataFrame(_samples(result.items, golden), schema=SAMPLE_SCHEMA)
    specs = [result.judge.spec.in_round(number) for number in result.rounds]
    folder = side.path.resolve().parents[_LEDGER_ABOVE - 1]
    about, prompt = rubric_at_hand(result.rubric.name, result.rubric.hash, axes, folder)
    panel = Panel.of(specs, "mean" if len(specs) > 1 else "first")
    return Side(
        side.name, result.judge.name, panel, about, prompt, axes, scores, samples, Workspace(folder).ledger,
        result.policy,
    )  # fmt: skip


def _mean_scores(item: ItemRounds, axes: Sequence[Axis]) -> dict[str, Any]:
    ok = [one.scores for one in item.rounds if one.state == "ok" and one.scores]
    failure = next((one.state for one in item.rounds if one.state != "ok"), None)
    means = {axis.name: float(np.mean([scores[axis.name] for scores in ok])) if ok else None for axis in axes}
    return {"sample_id": item.id, "state": "ok" if ok else failure, **means}


def _samples(items: Sequence[ItemRounds], golden: str | None) -> list[dict[str, Any]]:
    """The items' dialogues, without turns where they are not known."""
    rows = {sample.id: sample.row() for sample in read_golden(golden or "bundled").samples}
    bare = {"turn": 0, "context": [], "response": "", "split": None, "source": None}
    return [
        rows.get(item.id) or {**bare, "sample_id": item.id, "dialogue_id": item.dialogue_id, "category": item.category}
        for item in items
    ]


def rubric_at_hand(name: str, digest: str, axes: Sequence[Axis], folder: Path) -> tuple[RubricNote, Rubric | None]:
    """What is known of a rubric, and the rubric of that hash: of the package, the current folder, or `folder`."""
    rubric = known_rubrics([Path(), folder, folder / "rubrics"]).get(digest)
    note = RubricNote(
        name=name,
        hash=digest,
        version=rubric.version if rubric else None,
        axes={axis.name: (axis.low, axis.high) for axis in axes},
    )
    return note, rubric


def asked_side(
    side: AskedSide, judge: str, spec: JudgeSpec, scores: pl.DataFrame, samples: pl.DataFrame, ledger: Path
) -> Side:
    """The side of a judge that has been asked."""
    rubric, axes = side.rubric, axes_of(side.rubric)
    scales = {axis.name: (axis.low, axis.high) for axis in axes}
    note = RubricNote(name=rubric.name, version=rubric.version, hash=rubric.hash, axes=scales)
    return Side(side.name, judge, Panel.of([spec]), note, rubric, axes, scores, samples, ledger)


def axes_of(rubric: Rubric) -> tuple[Axis, ...]:
    """A rubric's axes as runs have them."""
    return tuple(Axis(axis.name, *axis.scale) for axis in rubric.axes)


def common_axes(names: Sequence[str], axes: Sequence[tuple[Axis, ...]]) -> tuple[Axis, ...]:
    """The axes that both sides have on one scale. Raises `UserError` where there is none."""
    common = tuple(axis for axis in axes[0] if axis in axes[1])
    if not common:
        scales = [", ".join(f"{axis.name} {axis.low}–{axis.high}" for axis in side) for side in axes]
        raise UserError(
            f"nothing is comparable: A ({names[0]}) scores {scales[0]}, and B ({names[1]}) scores {scales[1]}; take "
            "two that share an axis on one scale"
        )
    return common
