"""`efficient-empathy prompts test`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import DryRun, Json, Rubric, err, show
from efficient_empathy.prompts.settings import Procedure
from efficient_empathy.scoring.judges.registry import options_model


def golden_test(
    golden: Annotated[
        str, typer.Argument(help="A golden set's folder, or bundled for the one in the package.", show_default=False)
    ],
    procedure: Procedure,
    options: Annotated[dict[str, Any], Options(options_model(), without=("replies", "folder"))],
    rubric: Rubric = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Who is tested, written as for score: distilled (the default), openai:MODEL, openai:MODEL@URL, "
            "anthropic:MODEL … Several, one after the other, by naming it again."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder of ledger and results; prompt-tests/NAME.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown to this file.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put judges to a golden set, and say whether they have changed.

    Exit status: 0 pass, 3 soft (a real change, within what is tolerated), 4 regression, 5 insufficient (the set is too
    small to tell), 6 incomparable (corpus, parser or decoding differ); 1 and 2 are errors. Interrupted, the same
    command goes on where it was; finished, it asks anew.

    Example: efficient-empathy prompts test golden --rubric mine.yaml --judge openai:gpt-4o-mini --max-cost 1

    Example: efficient-empathy prompts test golden --judge openai:qwen@http://localhost:8000/v1 --baseline latest
    --junit test.xml
    """
    from efficient_empathy.foundation.run.workspace import Workspace, atomic
    from efficient_empathy.prompts.golden.golden_set import read_golden
    from efficient_empathy.prompts.testing.rounds import StoppedError, plan
    from efficient_empathy.prompts.testing.stage import folder_of, run_tests
    from efficient_empathy.prompts.testing.summary import markdown as as_markdown
    from efficient_empathy.prompts.testing.summary import summary, write_junit
    from efficient_empathy.scoring.plan import plan_text
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric

    loaded, references = LoadedRubric.load(rubric), judge or ["distilled"]
    if dry_run:
        found = read_golden(golden, loaded)
        estimate = plan(found, loaded, references, procedure.repeats, Workspace(output or folder_of(found)), options)
        show(estimate, as_json, plan_text(estimate))
        return
    try:
        result = run_tests(golden, references, loaded, procedure, options, output=output, console=err)
    except StoppedError as stopped:
        err.print(str(stopped), markup=False)
        raise typer.Exit(INTERRUPTED) from None
    if junit is not None:
        write_junit(junit, result)
    if markdown is not None:
        with atomic(markdown) as path:
            path.write_text(as_markdown(result), "utf-8")
    show(result.as_json(), as_json, summary(result))
    if result.exit_code:
        raise typer.Exit(result.exit_code)
