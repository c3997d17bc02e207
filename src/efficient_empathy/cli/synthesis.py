"""`synthesize`: new dialogues for what a run lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from efficient_empathy.cli.options import DryRun, Force, Json, Options, Run, err, show, stop, takes_permissions
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.settings import SynthesisSettings

Model = Annotated[
    str,
    typer.Option(
        help="Who writes them: base, one of the run's, a model's folder, a name of the hub, or with --base-url the "
        "name that the endpoint gives it.",
        show_default=False,
    ),
]


@takes_permissions
def synthesize(
    run: Run,
    model: Model,
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


IN_TRIAL = (
    "generators", "by", "targets", "speaker", "rounds", "examples", "test_files", "judged", "least", "pilot", "seed",
    "temperature", "top_p", "max_new_tokens", *FilterSettings.model_fields,
)  # fmt: skip


@takes_permissions
def trial(
    a: Annotated[str, typer.Argument(help="A prompt's file, or the generator's name for its own.", show_default=False)],
    b: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    run: Run,
    model: Model,
    settings: Annotated[SynthesisSettings, Options(file="settings for synthesis", only=IN_TRIAL)],
    endpoint: EndpointOptions | None,
    as_json: Json = False,
) -> None:
    """Have one model make the same synthetic samples by two prompts, and say by which more of them come through.

    Each prompt is asked for the first --pilot samples of the run's plan; filters and the run's judge see both. Nothing
    is put into the run.

    Example: efficient-empathy prompts trial rewrite mine.yaml --run runs/mine --model gpt-4o-mini --base-url
    https://api.openai.com/v1 --pilot 64 --max-cost 1
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.synthesis.trial import compare_generation_prompts, trial_text

    result = compare_generation_prompts(Workspace(run), model, a, b, settings, endpoint=endpoint, console=err)
    show(result, as_json, trial_text(result))
    stop(result.ending)
