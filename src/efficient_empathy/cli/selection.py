"""`select`, `sweep`, `tune`: subsets, and how they depend on the thresholds."""

from __future__ import annotations

from typing import Annotated, Any

from efficient_empathy.cli.options import (
    Changes,
    Force,
    Json,
    Options,
    Run,
    SettingsFile,
    err,
    pairs,
    show,
    takes_permissions,
)
from efficient_empathy.evaluation.robustness.settings import SweepSettings, TuneSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.settings import SelectSettings


def select(run: Run, settings: SelectSettings, force: Force = False, as_json: Json = False) -> None:
    """Split a scored run into subsets and write them for fine-tuning. Never asks a judge.

    Example: efficient-empathy select --run runs/mine --policy paper --alpha 5 --beta 5

    Example: efficient-empathy select --run runs/mine --policy mine.yaml --threshold warmth=4

    Example: efficient-empathy select --run runs/mine --policy top --top 0.3
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.selection import select as run_select
    from efficient_empathy.selection import summary

    result = run_select(Workspace(run), settings, force=force)
    show(result, as_json, summary(result, run))


FOR_TRAINING = ("subset", "seeds", "metrics", "keep")


@takes_permissions
def sweep(
    run: Run,
    settings: SweepSettings,
    training: Annotated[dict[str, Any], Options(TrainingSettings, only=("base",))],
    answers: Annotated[dict[str, Any], Options(GenerationSettings, only=("samples",))],
    training_file: SettingsFile = None,
    change: Changes = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Move the thresholds over a grid: sizes, shares by category, overlap; with --train, models on every cell.

    The training of --train is that of the run's recipe, or of --settings, with --base and --set on top.

    Example: efficient-empathy sweep --run runs/mine --grid alpha=3:7 --grid beta=3:7:0.5
    """
    from efficient_empathy.evaluation.robustness import sweep as run_sweep
    from efficient_empathy.evaluation.robustness.settings import generation_settings, training_settings
    from efficient_empathy.evaluation.robustness.summary import sweep_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    idle = [name for name in FOR_TRAINING if name in settings.model_fields_set] + [*training]
    idle += [name for name, value in {"settings": training_file, "set": change}.items() if value]
    if idle and not settings.train:
        raise UserError(f"{_flags(idle)} needs --train: without it nothing is trained")
    idle = [name for name in ("epitome", "emotion") if name in settings.model_fields_set] + [*answers]
    if idle and not settings.metrics:
        raise UserError(f"{_flags(idle)} needs --metrics: without them no model answers")
    workspace = Workspace(run)
    training_options = generation_options = None
    if settings.train:
        training_options = training_settings(workspace, training_file, training | pairs(change, "--set"))
    if settings.metrics:
        generation_options = generation_settings(workspace, answers)
    result = run_sweep(workspace, settings, training_options, generation_options, console=err, force=force)
    show(result, as_json, sweep_summary(result, run))


def _flags(names: list[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


FOR_TARGETS = {
    "share": ("tolerance",), "samples": ("tolerance",), "balance": ("least", "most"),
    "proxy-loss": ("proxy_steps", "base", "set"),
}  # fmt: skip


def tune(
    run: Run,
    settings: TuneSettings,
    training: Annotated[dict[str, Any], Options(TrainingSettings, only=("base",))],
    change: Changes = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Choose a policy's thresholds for a target, cross-validated by dialogue, and say whether that beats the default.

    For --target proxy-loss, --base and --set say how the proxies are trained.

    Example: efficient-empathy tune --run runs/mine --target share=0.6
    """
    from efficient_empathy.evaluation.robustness import tune as run_tune
    from efficient_empathy.evaluation.robustness.settings import proxy_settings
    from efficient_empathy.evaluation.robustness.summary import tune_summary
    from efficient_empathy.evaluation.robustness.targets import target_of
    from efficient_empathy.foundation.run.workspace import Workspace

    names = settings.model_fields_set | {*training} | ({"set"} if change else set())
    kind = target_of(settings.target).kind
    for target, own in FOR_TARGETS.items():
        idle = [f"--{name.replace('_', '-')}" for name in own if name in names and name not in FOR_TARGETS[kind]]
        if idle:
            raise UserError(f"{', '.join(idle)} goes with --target {target}, not with {settings.target}")
    proxy = proxy_settings(settings, training | pairs(change, "--set"))
    result = run_tune(Workspace(run), settings, proxy, console=err, force=force)
    show(result, as_json, tune_summary(result, run))
