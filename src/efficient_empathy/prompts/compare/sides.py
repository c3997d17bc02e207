"""The two sides of a comparison: a rubric or a judge that is asked now, or scores that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.redaction import redact
from efficient_empathy.foundation.run.axis import Axis
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.listing import known_rubrics
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.judges.registry import JUDGES, reads_rubric, reference_forms
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import BUNDLED, Rubric
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.scored_run import Run

LABELS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Asked:
    """A judge, named by its reference, that is asked by a rubric."""

    rubric: Rubric
    judge: str
    name: str


@dataclass(frozen=True, slots=True)
class Kept:
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
    at hand. `ledger` holds the replies, under the specs of `panel`. `active` are the policy's parameters that it was
    selected or watched by, if it was.
    """

    name: str
    judge: str
    panel: Panel
    rubric: dict[str, Any]
    prompt: Rubric | None
    axes: tuple[Axis, ...]
    scores: pl.DataFrame
    samples: pl.DataFrame
    ledger: Path
    active: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """Under what its judgements are kept, in words."""
        return " + ".join(map(str, self.panel.specs))

    def replies(self, sample_ids: Sequence[str]) -> dict[str, str]:
        """The raw replies behind the scores, empty where there is no ledger; of several judges each with its name."""
        if not self.ledger.exists():
            return {}
        with Ledger(self.ledger, read_only=True) as ledger:
            if not self.panel.pools:
                return {sample_id: one.raw for sample_id, one in self.panel.answers(ledger, sample_ids).items()}
            found = self.panel.judgements(ledger, sample_ids)
        told = ("\n".join(f"{one.judge}: {one.raw}" for one in judgements if one.raw) for judgements in found)
        return dict(zip(sample_ids, told, strict=True))


def sides_of(
    first: str, second: str, judges: Sequence[str] = (), rubric: Path | str | None = None
) -> tuple[Asked | Kept, Asked | Kept]:
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
    if isinstance(a, Kept) and isinstance(b, Kept) and a.path.resolve() == b.path.resolve():
        raise UserError(f"A and B are the same, {a.path}: there is nothing to compare")
    if isinstance(a, Asked) and isinstance(b, Asked):
        _different(a, b)
    return a, b


def _kind(text: str, label: str) -> Literal["judge", "rubric", "kept"]:
    path = Path(text)
    if text.partition(":")[0] in JUDGES:
        return "judge"
    if text in BUNDLED or (path.is_file() and path.suffix.lower() in (".yaml", ".yml")):
        return "rubric"
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".json"):
        return "kept"
    if path.suffix.lower() in (".yaml", ".yml"):
        raise UserError(f"{label}, the rubric {text}, is not found: there is no file {path.absolute()}")
    raise UserError(
        f"{label} is {text!r}, which is neither a rubric (a YAML file, {' or '.join(BUNDLED)}), nor a scored run's "
        f"folder, nor a result of `prompts test` (a JSON file), nor a judge ({reference_forms()})"
    )


def _side(text: str, kind: str, judge: str | None, rubric: Path | str | None) -> Asked | Kept:
    if kind == "kept":
        return Kept(Path(text))
    if kind == "judge":
        return Asked(Rubric.load(rubric), text, redact(text))
    loaded = Rubric.load(text)
    if judge is None:
        raise UserError(f"the rubric {text} has to be asked of a judge: add --judge openai:MODEL, or openai:MODEL@URL")
    return Asked(loaded, judge, Path(text).name)


def _different(a: Asked, b: Asked) -> None:
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


def run_side(kept: Kept) -> Side:
    """A run's side. Raises `UserError` where the run is not scored or its files are damaged."""
    workspace = Workspace(kept.path)
    with told(f"read the scores of {kept.path}"):
        run = Run(workspace)
        axes, scoring = run.axes, run.scoring
        samples = run.samples.collect().unique("sample_id", keep="first", maintain_order=True)
        scores = run.scores.collect().unique("sample_id", keep="first", maintain_order=True)
    active = run.policy.parameters() if isinstance(run.policy, GridPolicy) else {}
    record = workspace.stage(SCORE, ScoreRecord)
    if record is None:
        raise UserError(f"{kept.path} has no scores: run `efficient-empathy score SOURCE` first")
    panel, judge = record.panel, record.judge
    about, prompt = rubric_at_hand(dict(scoring.get("rubric") or {}), kept.path)
    return Side(kept.name, judge, panel, about, prompt, axes, scores, samples, workspace.ledger, active)


def rubric_at_hand(record: dict[str, Any], folder: Path) -> tuple[dict[str, Any], Rubric | None]:
    """What is told of a rubric, and the rubric of that hash: of the package, the current folder, or `folder`."""
    found = known_rubrics([Path(), folder, folder / "rubrics"]).get(str(record.get("hash")))
    about = {"name": str(record.get("name", "unknown")), "hash": str(record.get("hash", ""))}
    return about | ({"version": found.version} if found else {}), found


def asked_side(
    asked: Asked, judge: str, spec: JudgeSpec, scores: pl.DataFrame, samples: pl.DataFrame, ledger: Path
) -> Side:
    """The side of a judge that has been asked."""
    rubric = asked.rubric
    about = {"name": rubric.name, "version": rubric.version, "hash": rubric.hash}
    return Side(asked.name, judge, Panel.of([spec]), about, rubric, axes_of(rubric), scores, samples, ledger)


def axes_of(rubric: Rubric) -> tuple[Axis, ...]:
    """A rubric's axes as runs have them."""
    return tuple(Axis(axis.name, *axis.scale) for axis in rubric.axes)


def common_axes(names: Sequence[str], axes: Sequence[tuple[Axis, ...]]) -> tuple[Axis, ...]:
    """The axes that both sides have on one scale. Raises `UserError` where there is none."""
    found = tuple(axis for axis in axes[0] if axis in axes[1])
    if not found:
        told = [", ".join(f"{axis.name} {axis.low}–{axis.high}" for axis in side) for side in axes]
        raise UserError(
            f"nothing is comparable: A ({names[0]}) scores {told[0]}, and B ({names[1]}) scores {told[1]}; take two "
            "that share an axis on one scale"
        )
    return found
