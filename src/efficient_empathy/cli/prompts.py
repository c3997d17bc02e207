"""`prompts golden`, `test`, `compare`, `list`: rubrics and judges, before they score a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.options import DryRun, Force, Json, Options, Rubric, err, show
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.settings import CompareSettings, GoldenSettings, Procedure
from efficient_empathy.scoring.judges.registry import options_model


def list_(
    folder: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders to look through; runs, prompt-tests and prompt-comparisons by default.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every rubric by its hash: its axes, who was asked by it, how often, at what price, when and where.

    Looks at ledgers, manifests, results and rubric files in the folders, at the rubric files of the current folder, and
    at those of the package.

    Example: efficient-empathy prompts list

    Example: efficient-empathy prompts list runs old-runs --json
    """
    from efficient_empathy.prompts.listing import list_prompts, summary

    listing = list_prompts(folder)
    show(listing.as_json(), as_json, summary(listing))


def golden(
    settings: GoldenSettings,
    run: Annotated[Path | None, typer.Option("--run", help="The scored run to draw from.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The golden set's folder.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Check a set that is there, made by hand or not, instead of making one.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="With --check: fill in missing ids and write a manifest that fits.")
    ] = False,
    rubric: Annotated[
        Path | None, typer.Option(help="With --check: whose axes have to be there; the manifest's by default.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a golden set from a scored run, stratified over score cells and categories; or check one.

    Example: efficient-empathy prompts golden --run runs/mine -n 200 -o golden

    Example: efficient-empathy prompts golden --check golden
    """
    if (run is None) == (check is None):
        raise UserError("give either --run RUN with -o FOLDER, to make a golden set, or --check FOLDER")
    if check is not None:
        _check(check, write, rubric, as_json)
        return
    if output is None:
        raise UserError("-o FOLDER is missing: where the golden set is to be written")
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.prompts.golden.making import make_golden, summary

    assert run is not None
    result = make_golden(Workspace(run), output, settings, force=force)
    show(result.as_json(), as_json, summary(result))


def _check(folder: Path, write: bool, rubric_file: Path | None, as_json: bool) -> None:
    from efficient_empathy.prompts.golden.golden_set import LONGEST_LIST, golden_folder, look_at, seal
    from efficient_empathy.scoring.rubric import Rubric

    rubric = Rubric.load(rubric_file) if rubric_file is not None else None
    place = golden_folder(folder)
    problems, golden = ([], seal(place, rubric)) if write else look_at(place, rubric)
    record: dict[str, Any] = {"folder": str(place), "ok": not problems, "problems": problems}
    if golden is None:
        if as_json:
            show(record, True, "")
        for problem in problems[:LONGEST_LIST]:
            err.print(f"Error: {problem}", style="bold red")
        if len(problems) > LONGEST_LIST:
            err.print(f"… and {len(problems) - LONGEST_LIST:,} more.")
        raise typer.Exit(1)
    ranges = sum(any(low < high for low, high in item.expected.values()) for item in golden.items)
    record |= {"name": golden.name, "items": len(golden.items), "ranges": ranges, "corpus": golden.manifest.corpus}
    text = (
        f"{place} is in order: {len(golden.items):,} items, {ranges:,} of them with ranges, corpus {record['corpus']}."
    )
    show(record, as_json, f"{text}\nNext: efficient-empathy prompts test {folder} --judge openai:MODEL@URL")


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
    from efficient_empathy.foundation.run.files import atomic
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.prompts.golden.golden_set import read_golden
    from efficient_empathy.prompts.testing.rounds import StoppedError, plan
    from efficient_empathy.prompts.testing.stage import folder_of, run_tests
    from efficient_empathy.prompts.testing.summary import markdown as as_markdown
    from efficient_empathy.prompts.testing.summary import summary, write_junit
    from efficient_empathy.scoring.plan import plan_text
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric

    loaded_rubric, references = LoadedRubric.load(rubric), judge or ["distilled"]
    if dry_run:
        golden_set = read_golden(golden, loaded_rubric)
        estimate = plan(
            golden_set,
            loaded_rubric,
            references,
            procedure.repeats,
            Workspace(output or folder_of(golden_set)),
            options,
        )
        show(estimate, as_json, plan_text(estimate))
        return
    try:
        result = run_tests(golden, references, loaded_rubric, procedure, options, output=output, console=err)
    except StoppedError as stopped:
        err.print(str(stopped))
        raise typer.Exit(INTERRUPTED) from None
    if junit is not None:
        write_junit(junit, result)
    if markdown is not None:
        with atomic(markdown) as path:
            path.write_text(as_markdown(result), "utf-8")
    show(result.as_json(), as_json, summary(result))
    if result.exit_code:
        raise typer.Exit(result.exit_code)


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
