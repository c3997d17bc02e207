"""The stages for notebooks: what the command line does, with frames and paths as results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from efficient_empathy import selection as _selection
from efficient_empathy.cluster import ClusterSettings, open_engine
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation import permissions
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import load
from efficient_empathy.report import report
from efficient_empathy.scoring import Judge, Rubric
from efficient_empathy.scoring import stage as _scoring
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.contract import JudgeOptions
from efficient_empathy.scoring.settings import Pool
from efficient_empathy.selection.settings import SelectSettings

if TYPE_CHECKING:
    from efficient_empathy.dialogues import Inspection
    from efficient_empathy.integrity import CheckResult
    from efficient_empathy.labelling.prediction.stage import PredictionInput


def read(source: str | Path, **reading: Any) -> pl.DataFrame:
    """All samples of a source, a row a sample; `reading` as of `ReadingSettings`: format, columns, on_bad_row …"""
    from efficient_empathy.dialogues import read as read_source

    return read_source(source, _reading(reading))


def inspect_source(source: str | Path, **reading: Any) -> Inspection:
    """What a source holds; `reading` as of `ReadingSettings`. Bad rows are counted unless `on_bad_row` is fail."""
    from efficient_empathy.dialogues import inspect_source as inspect
    from efficient_empathy.dialogues.settings import InspectionSettings

    return inspect(source, load(InspectionSettings, None, "the options", reading))


def _reading(settings: dict[str, Any] | None) -> ReadingSettings:
    return load(ReadingSettings, None, "the options", settings)


def score(
    source: str | Path,
    run: str | Path,
    *,
    judge: str | Judge | Sequence[str | Judge] = "distilled",
    pool: Pool = "median",
    rubric: Rubric | str | Path | None = None,
    options: JudgeOptions | None = None,
    batches: dict[str, Any] | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    quiet: bool = False,
    **reading: Any,
) -> pl.DataFrame:
    """Judge every sample of `source` that the run's ledger does not hold yet; the frame of `scores.parquet`.

    `judge` is written as for the command (distilled, openai:MODEL …) and takes `options`, such as
    `{"base_url": URL, "max_cost": 5}`; or it is any object with a `name` and an async `judge` (see `Judge`). Of several
    of either, `pool` makes one score. `batches` as of `BatchSettings`, such as `{"batch": True, "wait": True}`;
    without waiting, samples that are under way have no score yet. `cluster` and `workers` as of `ClusterSettings`, such
    as `cluster="ray"`; where Ray is connected already, that is the cluster. `reading` as of `ReadingSettings`: format,
    columns, on_bad_row and so on.
    """
    loaded_rubric = rubric if isinstance(rubric, Rubric) else Rubric.load(rubric)
    workspace, console = Workspace(run), Console(stderr=True, quiet=quiet)
    with open_engine(load(ClusterSettings, None, "the options", {"cluster": cluster, "workers": workers})) as engine:
        _scoring.score(
            source, workspace, judge, loaded_rubric, options, pool=pool,
            batches=load(BatchSettings, None, "the batches", batches), engine=engine, reading=_reading(reading),
            console=console,
        )  # fmt: skip
    return pl.read_parquet(workspace.scores, glob=False)


def cascade(
    source: str | Path,
    run: str | Path,
    *,
    rubric: Rubric | str | Path | None = None,
    options: JudgeOptions | None = None,
    quiet: bool = False,
    reading: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Score with the distilled judge where it is sure and an expert elsewhere; the plan, the guarantee and the check.

    `settings` as of `CascadeSettings`: expert, step, error, f1, confidence and so on; `reading` as of
    `ReadingSettings`. The scores are those of the run.
    """
    from efficient_empathy.labelling.cascade.record import CascadeResult
    from efficient_empathy.labelling.cascade.settings import CascadeSettings
    from efficient_empathy.labelling.cascade.stage import cascade as run_cascade

    loaded_rubric = rubric if isinstance(rubric, Rubric) else Rubric.load(rubric)
    stage_settings, console = load(CascadeSettings, None, "the options", settings), Console(stderr=True, quiet=quiet)
    result = run_cascade(
        source, Workspace(run), stage_settings, loaded_rubric, options, reading=_reading(reading), console=console
    )
    assert isinstance(result, CascadeResult)  # no dry run
    return result.cascade.model_dump(mode="json")


def refresh(
    run: str | Path,
    which: str = "uncertain",
    judge: str | Judge | None = None,
    *,
    rubric: Rubric | str | Path | None = None,
    options: JudgeOptions | None = None,
    quiet: bool = False,
    allow: Sequence[str] = (),
    **settings: Any,
) -> pl.DataFrame:
    """Judge samples of a scored run again and pool what was said; the frame of `scores.parquet`.

    `which` are uncertain, failed, all or none; `judge` is another one, by default the same for another of its rounds;
    `settings` as of `RefreshSettings`: rounds, pool, reach, disagreement, policy, thresholds and so on; `allow` gives
    permissions, as `--allow` does.
    """
    from efficient_empathy.labelling.refresh.settings import RefreshSettings
    from efficient_empathy.labelling.refresh.stage import refresh as judge_again

    loaded_rubric = rubric if isinstance(rubric, Rubric) else Rubric.load(rubric)
    workspace, console = Workspace(run), Console(stderr=True, quiet=quiet)
    reference = {"judge": judge} if isinstance(judge, str) else {}
    stage_settings = load(RefreshSettings, None, "the options", {"which": which, **reference, **settings})
    other = None if isinstance(judge, str) else judge
    with permissions.allow(allow):
        judge_again(workspace, stage_settings, loaded_rubric, options, judge=other, console=console)
    return pl.read_parquet(workspace.scores, glob=False)


def correct(
    run: str | Path, ids: Sequence[str] = (), *, where: str | None = None, by: str = "", reason: str = "", **said: Any
) -> int:
    """Correct samples of a scored run, by their ids or a condition of policies; the number of the correction.

    What is said is as of `CorrectionSettings`: scores (`{"sensibility": 3}`), subset, tags, untags, note. It stands in
    place of the judge's word wherever the run is read; `select` takes it over.
    """
    from efficient_empathy.foundation.run.table import RunTable
    from efficient_empathy.labelling.corrections.settings import CorrectionSettings, SamplesSettings
    from efficient_empathy.labelling.corrections.store import choose
    from efficient_empathy.labelling.corrections.store import correct as write_down

    workspace = Workspace(run)
    options = {"by": by, "reason": reason, **said}
    settings = load(CorrectionSettings, None, "the options", flags={k: (k, v) for k, v in options.items()})
    which = SamplesSettings(ids=tuple(ids), where=where)
    return write_down(workspace, choose(RunTable(workspace).require("samples"), which), settings).number


def withdraw_corrections(
    run: str | Path, numbers: Sequence[int], ids: Sequence[str] = (), *, by: str = "", reason: str = ""
) -> None:
    """Take corrections back by their numbers, of these samples or of all; what was said before stands again."""
    from efficient_empathy.labelling.corrections.settings import SpeakerSettings
    from efficient_empathy.labelling.corrections.store import withdraw

    withdraw(Workspace(run), numbers, SpeakerSettings(by=by, reason=reason), ids)


def corrections(run: str | Path) -> pl.DataFrame:
    """What people say of samples now, a row a sample and correction: who, when, why, and what they set."""
    from efficient_empathy.foundation.run.table import RunTable
    from efficient_empathy.labelling.corrections.exchange import table_of

    table = RunTable(Workspace(run)).require("samples")
    return table_of(table.said, table.axis_names)


def predict(source: PredictionInput, *, quiet: bool = False, **settings: Any) -> pl.DataFrame:
    """What the distilled judge makes of new conversations, or of a source; a row a sample or a conversation.

    `settings` as of `PredictionSettings` (judge_model, policy, alpha, beta, per) and of `ReadingSettings` (format,
    columns, on_bad_row). Warns on stderr where the conversations are not of the kind that the judge learnt from.
    """
    from efficient_empathy.labelling.prediction import PredictionSettings, Predictor
    from efficient_empathy.labelling.prediction import predict as judge
    from efficient_empathy.labelling.prediction.words import drift_summary

    reading = _reading({key: settings.pop(key) for key in ReadingSettings.model_fields if key in settings})
    stage_settings = load(PredictionSettings, None, "the options", settings)
    prediction = judge(source, Predictor(stage_settings), reading)
    if prediction.drift["verdict"] not in ("ok", "none"):
        Console(stderr=True, quiet=quiet).print(drift_summary(prediction.drift, True))
    return prediction.per(stage_settings.per)


def select(run: str | Path, *, force: bool = False, **settings: Any) -> pl.DataFrame:
    """Split a scored run and write its data sets; the frame of `assignments.parquet`.

    `settings` as of `SelectSettings`: policy (a name or a file), thresholds, alpha, beta, top, decide and so on.
    """
    workspace = Workspace(run)
    _selection.select(workspace, load(SelectSettings, None, "the options", settings), force=force)
    return pl.read_parquet(workspace.assignments, glob=False)


def train_expert(
    run: str | Path,
    subset: str,
    *,
    name: str | None = None,
    size: int | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train on one subset of a selected run; the folder of the expert. `settings` as of `TrainingSettings`."""
    from efficient_empathy.modelling.training import load_settings, train

    workspace, console = Workspace(run), Console(stderr=True, quiet=quiet)
    train(workspace, subset, load_settings(None, settings), name=name, size=size, console=console)
    return workspace.experts / (name or subset)


def mix(
    run: str | Path,
    experts: tuple[str, ...] = ("sensibility", "rationality"),
    *,
    quiet: bool = False,
    allow: Sequence[str] = (),
    **settings: Any,
) -> pl.DataFrame:
    """Mix experts, train the routers, compare; a row a model: its held-out losses, and what it costs.

    `settings` as of `MixSettings`; `allow` as `--allow`. The mixture is the folder `moe` of the run.
    """
    from efficient_empathy.modelling.moe import load_settings
    from efficient_empathy.modelling.moe import mix as mix_experts

    workspace, console = Workspace(run), Console(stderr=True, quiet=quiet)
    with permissions.allow(allow):
        result = mix_experts(workspace, load_settings(None, settings), experts=experts, console=console)
    return pl.DataFrame([model.model_dump(mode="json") for model in result.models])


def generate(
    run: str | Path, model: str, *, quiet: bool = False, allow: Sequence[str] = (), **settings: Any
) -> pl.DataFrame:
    """Let a model of the run, a folder or a hub name answer; the frame of its responses.

    `settings` as of `GenerationSettings`: samples, temperature, max_new_tokens and so on; `allow` as `--allow`.
    """
    from efficient_empathy.modelling.generation import GenerationSettings
    from efficient_empathy.modelling.generation import generate as answer

    stage_settings = load(GenerationSettings, None, "the options", settings)
    with permissions.allow(allow):
        result = answer(Workspace(run), model, stage_settings, console=Console(stderr=True, quiet=quiet))
    return pl.read_parquet(result.output, glob=False)


def synthesize(
    run: str | Path,
    model: str,
    *,
    base_url: str | None = None,
    endpoint: dict[str, Any] | None = None,
    quiet: bool = False,
    allow: Sequence[str] = (),
    **settings: Any,
) -> pl.DataFrame:
    """Make synthetic samples where a run is thin and put the good ones into it; a row a candidate, and why it went.

    `settings` as of `SynthesisSettings`: samples, generators, test_files, diversity and so on. `base_url` is that of a
    model behind an API, `endpoint` more of `EndpointOptions`; `allow` as `--allow`. With `prove=True` models are
    trained that show whether the samples help: it is said on the console, and in `synthesis/proof.json` of the run.
    """
    from efficient_empathy.modelling.generation import EndpointOptions
    from efficient_empathy.synthesis import SynthesisSettings
    from efficient_empathy.synthesis import synthesize as synthesize_run
    from efficient_empathy.synthesis.proof.record import proof_text

    workspace, console = Workspace(run), Console(stderr=True, quiet=quiet)
    stage_settings = load(SynthesisSettings, None, "the options", settings)
    options = (
        None
        if base_url is None
        else load(EndpointOptions, None, "the endpoint", {"base_url": base_url, **(endpoint or {})})
    )
    with permissions.allow(allow):
        result = synthesize_run(workspace, model, stage_settings, endpoint=options, console=console)
    if result.proof is not None:
        console.print(proof_text(result.proof), markup=False, highlight=False)
    return pl.read_parquet(workspace.synthesis / "candidates.parquet", glob=False)


def evaluate(run: str | Path, *, quiet: bool = False, allow: Sequence[str] = (), **settings: Any) -> pl.DataFrame:
    """Compare the models of a run that have answered; a row a model and figure, with interval and test.

    `settings` as of `EvaluationSettings`: metrics, models, baseline, resamples and so on; `allow` as `--allow`.
    """
    from efficient_empathy.evaluation import EvaluationSettings, frame
    from efficient_empathy.evaluation import evaluate as evaluate_run

    stage_settings = load(EvaluationSettings, None, "the options", settings)
    with permissions.allow(allow):
        return frame(evaluate_run(Workspace(run), stage_settings, console=Console(stderr=True, quiet=quiet)))


def evaluate_files(
    predictions: Sequence[str | Path], references: str | Path | None = None, *, quiet: bool = False, **settings: Any
) -> pl.DataFrame:
    """Compare systems whose responses lie in files, FILE or NAME=FILE; frame and `settings` as of `evaluate`."""
    from efficient_empathy.evaluation import EvaluationSettings, frame
    from efficient_empathy.evaluation import evaluate_files as evaluate_systems

    stage_settings = load(EvaluationSettings, None, "the options", settings)
    where = None if references is None else Path(references)
    files = [str(file) for file in predictions]
    return frame(evaluate_systems(files, where, stage_settings, console=Console(stderr=True, quiet=quiet)))


def sweep(run: str | Path, *, quiet: bool = False, **settings: Any) -> pl.DataFrame:
    """Move the thresholds over a grid; a row a cell, category and subset, as in `sweep/sweep.parquet`.

    `settings` as of `SweepSettings`: policy (one or a list), grids ({"alpha": "3:7"}), alphas, betas, train and so
    on.
    """
    from efficient_empathy.evaluation.robustness import SweepSettings
    from efficient_empathy.evaluation.robustness import sweep as sweep_run

    workspace = Workspace(run)
    stage_settings = load(SweepSettings, None, "the options", _with_grids(settings))
    sweep_run(workspace, stage_settings, console=Console(stderr=True, quiet=quiet))
    return pl.read_parquet(workspace.sweep / "sweep.parquet", glob=False)


def tune(run: str | Path, target: str, *, quiet: bool = False, **settings: Any) -> dict[str, float]:
    """Thresholds for a target (`share=0.6`, `samples=20000`, `balance`, `proxy-loss`), ready for `select(run, **…)`.

    `settings` as of `TuneSettings`. Whether they beat the default stands in `tuning/tuning.json`.
    """
    from efficient_empathy.evaluation.robustness import TuneSettings
    from efficient_empathy.evaluation.robustness import tune as tune_run

    stage_settings = load(TuneSettings, None, "the options", {"target": target, **_with_grids(settings)})
    return tune_run(Workspace(run), stage_settings, console=Console(stderr=True, quiet=quiet)).choice


def _with_grids(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose grids may be text: YAML, which settings are read as, takes 3:7 for a number of base 60."""
    from efficient_empathy.evaluation.robustness.grid import threshold_values

    text = [key for key in ("alphas", "betas") if isinstance(settings.get(key), str)]
    return settings | {key: threshold_values(settings[key]) for key in text}


def analyse(run: str | Path, *, force: bool = False, **settings: Any) -> dict[str, Any]:
    """Scores by category and topic, what filtering keeps, correlations, drift, cost, findings: `analytics.json`.

    `settings` as of `AnalyticsSettings`: against, periods, topics and so on.
    """
    from efficient_empathy.analytics import AnalyticsSettings, analytics

    result = analytics(Workspace(run), load(AnalyticsSettings, None, "the options", settings), force=force)
    return result.model_dump(mode="json")


def run_recipe(recipe: str | Path, run: str | Path | None = None, *, allow: Sequence[str] = (), **changes: Any) -> Path:
    """Run a recipe, a file or a bundled one's name, with keys changed; the run's folder.

    `allow` is what the recipe may do beyond its folder and the run, such as `["key:OPENAI_API_KEY@llm.example.org"]`.
    """
    from efficient_empathy.pipeline import run_recipe as run_stages
    from efficient_empathy.recipe import Recipe

    with permissions.allow(allow):
        loaded_recipe = Recipe.load(recipe, changes, run=run)
        return Path(run_stages(loaded_recipe, Workspace(run or loaded_recipe.folder)).run)


def write_report(run: str | Path) -> Path:
    """Write the run's page; where it lies."""
    return Path(report(Workspace(run)).path)


def check(run: str | Path, *, quiet: bool = False) -> CheckResult:
    """Read a whole run: whether every file is as its stage wrote it, and each problem with what to run."""
    from efficient_empathy.integrity import check as check_run

    return check_run(Workspace(run), console=Console(stderr=True, quiet=quiet))


def push(run: str | Path, url: str, *, only: Sequence[str] = (), overwrite: bool = False) -> dict[str, Any]:
    """Put a run's files into a folder of an object store, those that are not there as they are; what was done.

    `only` names stages, such as select; `overwrite` replaces objects that no push of this run has put there.
    """
    from efficient_empathy.foundation.push import PushSettings
    from efficient_empathy.foundation.push import push as push_run

    result = push_run(Workspace(run), url, PushSettings(only=tuple(only), overwrite=overwrite))
    return result.model_dump(mode="json")
