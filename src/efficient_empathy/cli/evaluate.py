"""`efficient-empathy evaluate`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, err, show
from efficient_empathy.foundation.errors import UserError


class Splitter(StrEnum):
    """What splits sentences before words."""

    auto = "auto"
    nltk = "nltk"
    builtin = "builtin"


def evaluate(
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
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: official, standard, texts, perplexity, bertscore, epitome, emotion, quality; "
            "official,texts by default."
        ),
    ] = None,
    models: Annotated[str | None, typer.Option(help="The models to compare, comma-separated; all by default.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What all others are tested against; base by default, else the first.")
    ] = None,
    resamples: Annotated[
        int | None,
        typer.Option(
            help="Of the bootstrap; 0 for no intervals and no tests. 10000 by default, 0 for one system from files.",
            min=0,
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the resamples.", min=0)] = 0,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown tables to this file.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Also write LaTeX tables (booktabs) to this file.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Also write everything as JSON to this file.")
    ] = None,
    splitter: Annotated[
        Splitter, typer.Option(help="official: auto is NLTK's where its data is found, else builtin.")
    ] = Splitter.auto,
    template: Annotated[
        str | None, typer.Option(help="perplexity: the prompt template; by default the model's.")
    ] = None,
    max_length: Annotated[int, typer.Option(help="perplexity: tokens of context and response at most.", min=2)] = 512,
    bertscore_model: Annotated[
        str | None, typer.Option(help="bertscore: a folder or hub name, or FOLDER@LAYER.")
    ] = None,
    epitome: Annotated[Path | None, typer.Option(help="epitome: the folder that fit-metric made.")] = None,
    emotion: Annotated[Path | None, typer.Option(help="emotion: the folder that fit-metric made.")] = None,
    judge: Annotated[str | None, typer.Option(help="quality: openai (default) or replay.")] = None,
    model: Annotated[str | None, typer.Option(help="quality: the judge's model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="quality: the judge's endpoint, as of score.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="quality: the environment variable with the key; OPENAI_API_KEY by default.")
    ] = None,
    rubric: Annotated[
        str | None, typer.Option(help="quality: another rubric than naturalness, coherence, empathy.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="quality: requests in flight at most.", min=1)] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="quality: US dollars that the run's evaluation may come to in all.", min=0)
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put numbers to responses: of a run's models, or of any files; with intervals and tests where there are several.

    Example: efficient-empathy evaluate --run runs/mine --metrics official,texts,perplexity --markdown table.md

    Example: efficient-empathy evaluate --predictions ours.txt --predictions mime=theirs.jsonl --references test.txt
    """
    from efficient_empathy.evaluation import EvaluationSettings, evaluate_files, figures, summary, write_tables
    from efficient_empathy.evaluation import evaluate as evaluate_run
    from efficient_empathy.foundation.settings import load

    if references is not None and not predictions:
        raise UserError("--references goes with --predictions FILE: a run has its own")
    if run is None and not predictions:
        raise UserError("nothing to evaluate: give --run RUN, or --predictions FILE with --references FILE")
    judged = {
        "judge": judge, "model": model, "base_url": base_url, "api_key_env": api_key_env, "rubric": rubric,
        "concurrency": concurrency, "max_cost": max_cost,
    }  # fmt: skip
    given: dict[str, Any] = {
        "metrics": _names(metrics), "models": _names(models), "baseline": baseline, "resamples": resamples,
        "confidence": confidence, "seed": seed, "splitter": splitter.value, "template": template,
        "max_length": max_length, "bertscore_model": bertscore_model, "epitome": epitome, "emotion": emotion,
        "judge": {key: value for key, value in judged.items() if value is not None},
    }  # fmt: skip
    known = {k: json.dumps(v) if isinstance(v, str) else v for k, v in given.items() if v is not None}
    settings = load(EvaluationSettings, None, "the options", known)
    if predictions:
        result = evaluate_files(predictions, references, settings, work=run, console=err)
    else:
        assert run is not None
        from efficient_empathy.foundation.run.workspace import Workspace

        result = evaluate_run(Workspace(run), settings, console=err, force=force)
    write_tables(result, markdown=markdown, latex=latex, json_file=output)
    show(figures(result), as_json, summary(result))


def _names(listed: str | None) -> list[str] | None:
    return [name.strip() for name in listed.split(",") if name.strip()] if listed is not None else None
