"""`evaluate`, `pairwise`, `fit-metric`, `ratings`, `agreement`: numbers, judges and people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.options import DryRun, Force, Json, Options, Run, err, show, takes_permissions
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.classifiers.kinds import KINDS, FitSettings
from efficient_empathy.evaluation.pairwise.settings import PairwiseSettings
from efficient_empathy.evaluation.ratings.results import Resampling
from efficient_empathy.evaluation.ratings.settings import AnswerSettings, SheetSettings
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.judges.registry import options_model


@takes_permissions
def evaluate(
    settings: EvaluationSettings,
    judge_options: Annotated[dict[str, Any], Options(options_model(), without=("folder",))],
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
    from efficient_empathy.evaluation import evaluate_files, figures, require_judgements, summary, write_tables
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
    require_judgements(result)


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
    from efficient_empathy.evaluation.pairwise import PairRubric, plan_pairwise, require_verdicts
    from efficient_empathy.evaluation.pairwise import pairwise as run_pairwise
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.scoring.plan import plan_text

    workspace, pair_rubric = Workspace(run), PairRubric.load(rubric)
    if dry_run:
        estimate = plan_pairwise(workspace, a, b, judge, pair_rubric, options, settings)
        show(estimate, as_json, plan_text(estimate))
        return
    result = run_pairwise(workspace, a, b, judge, pair_rubric, options, settings, console=err)
    show(result, as_json, result.summary())
    if result.ending == "stopped":
        raise typer.Exit(INTERRUPTED)
    require_verdicts(result)


def _kind(name: str) -> str:
    if name not in KINDS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(KINDS)}")
    return name


def fit_metric(
    kind: Annotated[str, typer.Argument(help="The metric.", metavar="|".join(KINDS), parser=_kind, show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="epitome: a file with seeker_post, response_post, emotional_reactions, interpretations, explorations "
            "(0, 1 or 2). emotion: dialogues with a category, in any format that is read.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for it.", show_default=False)],
    settings: FitSettings,
    reading: Annotated[ReadingSettings, Options(without=("format",))],
    as_json: Json = False,
) -> None:
    """Fit the classifier of an empathy metric on labelled data of your own (extra `eval`).

    The folder holds weights that inherit the data's licence, and a card with cross-validated figures.

    Example: efficient-empathy fit-metric epitome epitome.jsonl -o metrics/epitome
    """
    from efficient_empathy.evaluation.classifiers.stage import fit_metric as run_fit
    from efficient_empathy.foundation.console import bar

    with bar(err) as progress:
        tasks: dict[str, Any] = {}

        def on_step(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
                if not err.is_terminal:
                    err.print(f"{what} …")
            progress.update(tasks[what], completed=done)

        result = run_fit(kind, data, output, settings, reading, on_step=on_step)
    show(result, as_json, result.summary())


def sheets(
    run: Run,
    models: Annotated[
        str,
        typer.Option(
            help="Of whom responses are rated, e.g. moe,base: names in the run's generations; reference is the "
            "samples' own response.",
            show_default=False,
        ),
    ],
    settings: SheetSettings,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Sheets' folder; the run's ratings/STUDY/sheets by default."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite sheets, and put another key in place of the one that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a blinded sheet for each rater. The key stays in the run: never hand it out.

    Example: efficient-empathy ratings sheets --run runs/mine --models moe,base --raters ann,bo,cy -o sheets
    """
    from efficient_empathy.evaluation.ratings import make_sheets, sheets_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    names = tuple(name.strip() for name in models.split(",") if name.strip())
    result = make_sheets(
        Workspace(run), names, settings.design(len(names)), output,
        study=settings.study, samples=settings.samples, format=settings.format, force=force,
    )  # fmt: skip
    show(result, as_json, sheets_summary(result))


def read(
    run: Run,
    sheet: Annotated[
        list[Path], typer.Argument(help="Filled-in sheets, XLSX or CSV, or folders of them.", show_default=False)
    ],
    settings: AnswerSettings,
    how: Annotated[Resampling, Options(without=("confidence",))],
    as_json: Json = False,
) -> None:
    """Read filled-in sheets: means, wins and losses, agreement, each rater's consistency, a ranking.

    Example: efficient-empathy ratings read --run runs/mine sheets/*.xlsx
    """
    from efficient_empathy.evaluation.ratings import Key, read_sheets, results_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    key = Key.read(settings.key) if settings.key else None
    result = read_sheets(Workspace(run), sheet, study=settings.study, key=key, on_missing=settings.on_missing, how=how)
    show(result, as_json, results_summary(result))


def agreement(
    raters: Annotated[
        list[str],
        typer.Argument(
            metavar="RATER…",
            help="NAME=PATH or PATH: a scored run's folder (its last score), RUN#JUDGE (a judge of its ledger, with "
            "all its rounds), a ledger.sqlite, or a table of ratings (CSV, JSONL, Parquet).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A folder for agreement.json and agreement.html.", show_default=False)
    ],
    settings: AgreementSettings,
    as_json: Json = False,
) -> None:
    """Compare judges and people on the same samples: agreement, bias, calibration, repeatability, as a page and JSON.

    Example: efficient-empathy agreement gpt=runs/gpt small=runs/distilled people.csv --people ann,bo -o agreement
    """
    from efficient_empathy.evaluation.agreement import measure_agreement, summary

    result = measure_agreement(raters, output, settings)
    show(result, as_json, summary(result))
