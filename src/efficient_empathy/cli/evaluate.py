"""`efficient-empathy evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Force, Json, err, show
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.judges.registry import options_model

JUDGE = ("model", "base_url", "api_key_env", "concurrency", "max_cost")


def evaluate(
    settings: EvaluationSettings,
    judge_options: Annotated[dict[str, Any], Options(options_model(), only=JUDGE)],
    run: Annotated[
        Path | None, typer.Option("--run", help="The run whose models' responses are compared.", show_default=False)
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            help="Responses from a file: one a line (.txt), JSONL, CSV or Parquet. FILE or NAME=FILE, once for each "
            "model.",
            show_default=False,
        ),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(help="The references' file; not needed if predictions bring them.", show_default=False),
    ] = None,
    judge: Annotated[str | None, typer.Option(help="quality: who judges, as for score; openai by default.")] = None,
    rubric: Annotated[
        str | None, typer.Option(help="quality: another rubric than naturalness, coherence, empathy.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown tables to this file.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write LaTeX tables (booktabs) to this file.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Also write everything as JSON to this file.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put numbers to responses: of a run's models, or of any files; with intervals and tests where there are several.

    Example: efficient-empathy evaluate --run runs/mine --metrics official,texts,perplexity --markdown table.md

    Example: efficient-empathy evaluate --predictions ours.txt --predictions mime=theirs.jsonl --references test.txt
    """
    from efficient_empathy.evaluation import evaluate as evaluate_run
    from efficient_empathy.evaluation import evaluate_files, figures, summary, write_tables
    from efficient_empathy.foundation.run.workspace import Workspace

    if references is not None and not predictions:
        raise UserError("--references goes with --predictions FILE: a run has its own")
    if run is None and not predictions:
        raise UserError("nothing to evaluate: give --run RUN, or --predictions FILE with --references FILE")
    quality = {"judge": judge, "rubric": rubric, **judge_options}
    settings = settings.model_copy(update={"judge": {key: one for key, one in quality.items() if one is not None}})
    if predictions:
        result = evaluate_files(predictions, references, settings, work=run, console=err)
    else:
        assert run is not None
        result = evaluate_run(Workspace(run), settings, console=err, force=force)
    write_tables(result, markdown=markdown, latex=latex, json_file=output)
    show(figures(result), as_json, summary(result))
