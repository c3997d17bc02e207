"""`efficient-empathy prompts compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import DryRun, Json, err, show
from efficient_empathy.prompts.settings import CompareSettings
from efficient_empathy.scoring.judges.registry import options_model

WITHOUT = ("model", "base_url", "logprobs", "replies", "folder")
SIDE = (
    "A rubric (a YAML file, empathy or quality), a judge (openai:MODEL@URL, distilled …), a scored run's folder, or a "
    "result of `prompts test`."
)


def compare(
    a: Annotated[str, typer.Argument(help=SIDE, show_default=False)],
    b: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    settings: CompareSettings,
    options: Annotated[dict[str, Any], Options(options_model(), without=WITHOUT)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The folder for ledger and page; prompt-comparisons/A-vs-B by default."),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put two rubrics, two judges or two runs side by side: agreement, subsets, cost, prompts, samples that differ.

    Example: efficient-empathy prompts compare empathy stricter.yaml --judge openai:gpt-4o-mini --max-cost 1

    Two judges, one rubric: efficient-empathy prompts compare openai:gpt-4o-mini openai:qwen@http://localhost:8000/v1
    --samples dialogues.jsonl -n 300

    Two scored runs of the same samples, asking nobody: efficient-empathy prompts compare runs/chatgpt runs/distilled

    A run and a new rubric, on the run's samples: efficient-empathy prompts compare runs/mine stricter.yaml --judge
    openai:gpt-4o-mini -n 200
    """
    from efficient_empathy.prompts.compare.stage import Comparison, plan_compare, summary
    from efficient_empathy.prompts.compare.stage import compare as run_compare
    from efficient_empathy.scoring.plan import plan_text

    comparison = Comparison(a, b, settings)
    if dry_run:
        plan = plan_compare(comparison, output, options)
        show(plan, as_json, plan_text(plan))
        return
    result = run_compare(comparison, output, options, console=err)
    show(result.as_json(), as_json, summary(result))
    if result.ending == "stopped":
        raise typer.Exit(INTERRUPTED)
