"""`efficient-empathy tune`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, Run, err, pairs, show
from efficient_empathy.foundation.errors import UserError


def tune(
    run: Run,
    target: Annotated[
        str, typer.Option(help="share=0.6, samples=20000, balance, or proxy-loss (extra train).", show_default=False)
    ],
    policy: Annotated[str, typer.Option(help="paper, exclusive, or both.")] = "paper",
    alphas: Annotated[
        str | None,
        typer.Option(help="Thresholds of sensibility; 1:9 by default, 3:7:2 for proxy-loss.", metavar="RANGE"),
    ] = None,
    betas: Annotated[str | None, typer.Option(help="Thresholds of rationality; as --alphas.", metavar="RANGE")] = None,
    subset: Annotated[
        str, typer.Option(help="What the target is about: union (what is kept), or one subset.")
    ] = "union",
    folds: Annotated[int, typer.Option(help="Parts of the dialogues that the choice is cross-validated on.")] = 5,
    tolerance: Annotated[
        float | None, typer.Option(help="share, samples: how far off the nearest may be, as a share; 0.05 by default.")
    ] = None,
    least: Annotated[
        float | None, typer.Option(help="balance: the least share of the samples; 0.5 by default.")
    ] = None,
    most: Annotated[float | None, typer.Option(help="balance: the most; all by default.")] = None,
    proxy_steps: Annotated[int | None, typer.Option(help="proxy-loss: steps of each proxy; 20 by default.")] = None,
    base: Annotated[str | None, typer.Option(help="proxy-loss: the proxies' base; the bundled one by default.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="proxy-loss: any training setting, e.g. --set batch_size=8.")
    ] = None,
    decide: Annotated[
        str | None, typer.Option(help="On auto, scores or probabilities; as in the run's selection by default.")
    ] = None,
    resamples: Annotated[int | None, typer.Option(help="Draws for the interval; 1000 by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of ties, folds and draws.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Choose α and β for a target, cross-validated by dialogue, and say whether that beats the default at all.

    Example: efficient-empathy tune --run runs/mine --target share=0.6
    """
    from efficient_empathy.evaluation.robustness import TuneSettings
    from efficient_empathy.evaluation.robustness import tune as run_tune
    from efficient_empathy.evaluation.robustness.grid import thresholds
    from efficient_empathy.evaluation.robustness.settings import proxy_settings
    from efficient_empathy.evaluation.robustness.targets import target_of
    from efficient_empathy.evaluation.robustness.tuning import summary
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.foundation.settings import load

    own: dict[str, dict[str, Any]] = {
        "share": {"tolerance": tolerance},
        "balance": {"least": least, "most": most},
        "proxy-loss": {"proxy_steps": proxy_steps, "base": base, "set": change or None},
    }
    kind = target_of(target).kind
    for what, options in own.items():
        idle = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
        if idle and what != ("share" if kind == "samples" else kind):
            raise UserError(f"{', '.join(idle)} goes with --target {what}, not with {target}")
    given: dict[str, Any] = {
        "target": target, "policy": policy, "alphas": alphas and thresholds(alphas), "subset": subset,
        "betas": betas and thresholds(betas), "folds": folds, "tolerance": tolerance, "least": least, "most": most,
        "proxy_steps": proxy_steps, "decide": decide, "resamples": resamples, "seed": seed,
    }  # fmt: skip
    settings = load(TuneSettings, None, "the tuning", {k: v for k, v in given.items() if v is not None})
    proxy = proxy_settings(settings, ({"base": base} if base else {}) | pairs(change, "--set"))
    show(result := run_tune(Workspace(run), settings, proxy, console=err, force=force), as_json, summary(result, run))
