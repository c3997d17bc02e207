"""`efficient-empathy sweep`."""

from __future__ import annotations

from typing import Annotated, Any

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Changes, Force, Json, Run, SettingsFile, err, pairs, show
from efficient_empathy.evaluation.robustness.settings import SweepSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings

FOR_TRAINING = ("subset", "seeds", "metrics", "keep")


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

    Example: efficient-empathy sweep --run runs/mine --alphas 3:7 --betas 3:7
    """
    from efficient_empathy.evaluation.robustness import sweep as run_sweep
    from efficient_empathy.evaluation.robustness.settings import generation_settings, training_settings
    from efficient_empathy.evaluation.robustness.words import summary
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
    show(result, as_json, summary(result, run))


def _flags(names: list[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)
