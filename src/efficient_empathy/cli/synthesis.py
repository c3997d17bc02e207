"""`synthesize`: new dialogues for what a run lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from efficient_empathy.cli.options import DryRun, Force, Json, Options, Run, err, show, stop, takes_permissions
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis.settings import SynthesisSettings


@takes_permissions
def synthesize(
    run: Run,
    model: Annotated[
        str,
        typer.Option(
            help="Who writes them: base, one of the run's, a model's folder, a name of the hub, or with --base-url the "
            "name that the endpoint gives it.",
            show_default=False,
        ),
    ],
    settings: Annotated[SynthesisSettings, Options(file="settings for synthesis")],
    endpoint: EndpointOptions | None,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make synthetic dialogues where a scored run is thin, and keep those that come through filters and the judge.

    Example: efficient-empathy synthesize --run runs/mine --model gpt-4o-mini --base-url https://api.openai.com/v1
    --samples 300 --max-cost 2 --dry-run

    Example: efficient-empathy synthesize --run runs/mine --model base --generators rewrite,answer --test-file test.csv

    Example: efficient-empathy synthesize --run runs/mine --model base --prove, which trains models with and without
    the synthetic samples and says whether they help.
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.synthesis.record import plan_text, summary
    from efficient_empathy.synthesis.stage import plan_synthesis
    from efficient_empathy.synthesis.stage import synthesize as run_synthesis

    workspace = Workspace(run)
    if dry_run:
        plan = plan_synthesis(workspace, model, settings, endpoint=endpoint)
        show(plan, as_json, plan_text(plan))
        return
    result = run_synthesis(workspace, model, settings, endpoint=endpoint, console=err, force=force)
    show(result, as_json, summary(result, run))
    stop(result.ending)
