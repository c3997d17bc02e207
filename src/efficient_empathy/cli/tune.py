"""`efficient-empathy tune`."""

from __future__ import annotations

from typing import Annotated, Any

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Changes, Force, Json, Run, err, pairs, show
from efficient_empathy.evaluation.robustness.settings import TuneSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.settings import TrainingSettings

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
    """Choose α and β for a target, cross-validated by dialogue, and say whether that beats the default at all.

    For --target proxy-loss, --base and --set say how the proxies are trained.

    Example: efficient-empathy tune --run runs/mine --target share=0.6
    """
    from efficient_empathy.evaluation.robustness import tune as run_tune
    from efficient_empathy.evaluation.robustness.settings import proxy_settings
    from efficient_empathy.evaluation.robustness.targets import target_of
    from efficient_empathy.evaluation.robustness.tuning import summary
    from efficient_empathy.foundation.run.workspace import Workspace

    names = settings.model_fields_set | {*training} | ({"set"} if change else set())
    kind = target_of(settings.target).kind
    for target, own in FOR_TARGETS.items():
        idle = [f"--{name.replace('_', '-')}" for name in own if name in names and name not in FOR_TARGETS[kind]]
        if idle:
            raise UserError(f"{', '.join(idle)} goes with --target {target}, not with {settings.target}")
    proxy = proxy_settings(settings, training | pairs(change, "--set"))
    result = run_tune(Workspace(run), settings, proxy, console=err, force=force)
    show(result, as_json, summary(result, run))
