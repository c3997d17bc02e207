"""`efficient-empathy pairwise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import DryRun, Json, err, show
from efficient_empathy.evaluation.pairwise.settings import PairwiseSettings
from efficient_empathy.scoring.judges.registry import options_model


def pairwise(
    run: Annotated[Path, typer.Option("--run", help="The run whose models are compared.", show_default=False)],
    a: Annotated[str, typer.Option("--a", help="A model of the run's generations, or reference.", show_default=False)],
    b: Annotated[str, typer.Option("--b", help="Another one, such as the baseline.", show_default=False)],
    settings: PairwiseSettings,
    options: Annotated[dict[str, Any], Options(options_model(), without=("logprobs", "folder"))],
    judge: Annotated[
        str, typer.Option(help="Who compares, written as for score: openai, anthropic:MODEL, replay …")
    ] = "openai",
    rubric: Annotated[Path | None, typer.Option(help="A pairwise rubric's file; the package's own by default.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let an LLM judge say which of two models' responses is better, in both orders. Goes on where it was stopped.

    Example: efficient-empathy pairwise --run runs/mine --a moe --b base --model gpt-4o-mini --samples 200 --max-cost 1

    Example: efficient-empathy pairwise --run runs/mine --a moe --b reference --model qwen --base-url
    http://localhost:8000/v1
    """
    from efficient_empathy.evaluation.pairwise import PairRubric, plan_pairwise
    from efficient_empathy.evaluation.pairwise import pairwise as run_pairwise
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.scoring.plan import plan_text

    workspace, loaded = Workspace(run), PairRubric.load(rubric)
    if dry_run:
        estimate = plan_pairwise(workspace, a, b, judge, loaded, options, settings)
        show(estimate, as_json, plan_text(estimate))
        return
    result = run_pairwise(workspace, a, b, judge, loaded, options, settings, console=err)
    show(result.model_dump(mode="json"), as_json, result.summary())
    if result.ending == "stopped":
        raise typer.Exit(INTERRUPTED)
