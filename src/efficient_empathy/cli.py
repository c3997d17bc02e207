"""The command line: parse, call, print. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from efficient_empathy.errors import UserError

app = typer.Typer(
    name="efficient-empathy",
    help="Select the part of a dialogue data set that makes a better empathetic model.\n\n"
    "Example: efficient-empathy score dialogues.jsonl --run runs/mine && efficient-empathy select --run runs/mine "
    "&& efficient-empathy report --run runs/mine",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

INTERRUPTED = 130


class JudgeName(StrEnum):
    """The judges that `score` offers."""

    distilled = "distilled"
    openai = "openai"
    replay = "replay"


class BadRows(StrEnum):
    """What to do with a row that carries no sample."""

    fail = "fail"
    skip = "skip"


class ReplyForm(StrEnum):
    """How an LLM judge is asked to reply."""

    auto = "auto"
    json = "json"
    text = "text"


class PolicyName(StrEnum):
    """The selection policies."""

    paper = "paper"
    exclusive = "exclusive"
    both = "both"
    top = "top"


class Decide(StrEnum):
    """What a policy decides on."""

    auto = "auto"
    scores = "scores"
    probabilities = "probabilities"


Source = Annotated[
    str, typer.Argument(help="A file, a folder, or a hub data set id (hub:org/name).", show_default=False)
]
Run = Annotated[Path, typer.Option("--run", help="The run's folder; made when it is missing.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, all else on stderr.")]
Force = Annotated[bool, typer.Option("--force", help="Do it again even if nothing changed.")]
Format = Annotated[str | None, typer.Option("--format", help="Read as this format instead of recognising it.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", help="Where a table's columns have other names, e.g. --column response=answer."),
]
OnBadRow = Annotated[BadRows, typer.Option(help="Stop at a row that carries no sample, or count it and go on.")]
Rubric = Annotated[Path | None, typer.Option("--rubric", help="A rubric file; the package's own by default.")]


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(version("efficient-empathy"))
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    run: Annotated[Path, typer.Option("--run", help="Where the demo's run goes.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Score, select and report the bundled dialogues, on the embedded judge: no key, no GPU, no network.

    Example: efficient-empathy demo
    """
    from efficient_empathy.demo import demo as run_demo

    result = run_demo(run, err)
    _print(result, as_json, result["summary"])


@app.command()
def inspect(
    source: Source,
    format: Format = None,  # noqa: A002
    column: Columns = None,
    on_bad_row: OnBadRow = BadRows.skip,
    as_json: Json = False,
) -> None:
    """Say what a source is: its format, counts, categories, bad rows, three samples.

    Example: efficient-empathy inspect dialogues.jsonl
    """
    from efficient_empathy.dialogues import Intake, inspect_source
    from efficient_empathy.dialogues.show import as_record, as_text

    inspection = inspect_source(
        source, format=format, columns=_columns(column), intake=Intake(on_bad_row=on_bad_row.value)
    )
    _print(as_record(inspection), as_json, as_text(inspection))


@app.command()
def score(
    source: Source,
    run: Run,
    judge: Annotated[JudgeName, typer.Option(help="Who scores.")] = JudgeName.distilled,
    model: Annotated[str | None, typer.Option(help="openai: the model's name.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="openai: the endpoint; $OPENAI_BASE_URL or https://api.openai.com/v1 by default.")
    ] = None,
    api_key_env: Annotated[
        str, typer.Option(help="openai: the environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    rubric: Rubric = None,
    reply: Annotated[
        ReplyForm, typer.Option(help="openai: by JSON schema, by text form, or whichever works.")
    ] = ReplyForm.auto,
    logprobs: Annotated[bool, typer.Option("--logprobs", help="openai: expected score over the score token.")] = False,
    temperature: Annotated[float, typer.Option(help="openai: of sampling.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="openai: room for a reply.", min=1)] = 100,
    concurrency: Annotated[int, typer.Option(help="openai: requests in flight at most.", min=1)] = 64,
    timeout: Annotated[float, typer.Option(help="openai: seconds for one request.", min=0.1)] = 60.0,
    max_attempts: Annotated[int, typer.Option(help="openai: tries per request.", min=1)] = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(help="openai: US dollars that this run's ledger may come to in all; never exceeded.", min=0),
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="openai: a prices file instead of the package's own.")] = None,
    replies: Annotated[
        Path | None,
        typer.Option(help="replay: judged JSON, ledger.sqlite or a run's folder; SOURCE itself by default."),
    ] = None,
    judge_model: Annotated[Path | None, typer.Option(help="distilled: a folder that `distill` made.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="openai: print requests, tokens and dollars; ask nothing.")
    ] = False,
    format: Format = None,  # noqa: A002
    column: Columns = None,
    on_bad_row: OnBadRow = BadRows.fail,
    force: Annotated[
        bool, typer.Option("--force", help="Read the source again; judgements are kept all the same.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge every sample of a source. Asks only for what the run's ledger does not hold yet.

    Example: efficient-empathy score dialogues.jsonl --run runs/mine --judge openai --model gpt-4o-mini --max-cost 5
    """
    from efficient_empathy.scoring import stage
    from efficient_empathy.scoring.choice import JudgeOptions, make_judge
    from efficient_empathy.scoring.ingest import ingest
    from efficient_empathy.scoring.openai import Decoding
    from efficient_empathy.scoring.plan import plan, plan_text
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric
    from efficient_empathy.workspace import Workspace

    workspace = Workspace(run).create()
    loaded = LoadedRubric.load(rubric)
    with workspace.lock(lambda: err.print(f"Another process is scoring {run}; waiting for it.")):
        ingest(source, workspace, format=format, columns=_columns(column), on_bad_row=on_bad_row.value, force=force)
        options = JudgeOptions(
            model=model,
            base_url=base_url or os.environ.get("OPENAI_BASE_URL"),
            api_key_env=api_key_env,
            decoding=Decoding(reply.value, temperature, max_tokens, logprobs),
            concurrency=concurrency,
            timeout_s=timeout,
            max_attempts=max_attempts,
            max_cost=max_cost,
            prices=prices,
            replies=replies or Path(source),
            folder=judge_model,
        )
        chosen = make_judge(judge.value, loaded, workspace, options)
        if dry_run:
            estimate = plan(workspace, chosen)
            _print(estimate, as_json, plan_text(estimate))
            return
        result = stage.score(workspace, chosen, loaded, console=err)
    _print(result, as_json, stage.summary(result, run))
    if result["ending"] == "stopped":
        raise typer.Exit(INTERRUPTED)


@app.command()
def select(
    run: Run,
    policy: Annotated[PolicyName, typer.Option(help="How scores become subsets.")] = PolicyName.paper,
    alpha: Annotated[float, typer.Option(help="Threshold of sensibility.")] = 5.0,
    beta: Annotated[float, typer.Option(help="Threshold of rationality.")] = 5.0,
    decide: Annotated[
        Decide, typer.Option(help="On scores, or on the judge's probabilities where it gives them.")
    ] = Decide.auto,
    top: Annotated[
        float | None, typer.Option(help="top: the best K (whole number) or fraction (below 1) per axis.")
    ] = None,
    top_sensibility: Annotated[float | None, typer.Option(help="top: K or fraction by sensibility.")] = None,
    top_rationality: Annotated[float | None, typer.Option(help="top: K or fraction by rationality.")] = None,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="top: K or fraction within each category.")
    ] = False,
    quota: Annotated[
        list[str] | None, typer.Option(help="top: K or fraction of one category, e.g. --quota sad=100.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Breaks ties.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Split a scored run into subsets and write them for fine-tuning. Never asks a judge.

    Example: efficient-empathy select --run runs/mine --policy paper --alpha 5 --beta 5
    """
    from efficient_empathy.selection import select as run_select
    from efficient_empathy.selection import summary
    from efficient_empathy.workspace import Workspace

    options: dict[str, Any] = {}
    if policy is PolicyName.top:
        options = {
            "top": _amount(top),
            "top_sensibility": _amount(top_sensibility),
            "top_rationality": _amount(top_rationality),
            "per_category": per_category,
            "quotas": {name: _quota(value, name) for name, value in _pairs(quota, "--quota").items()},
        }
    result = run_select(
        Workspace(run),
        policy=policy.value,
        alpha=alpha,
        beta=beta,
        seed=seed,
        decide=decide.value,
        force=force,
        **options,
    )
    _print(result, as_json, summary(result, run))


@app.command()
def report(run: Run, as_json: Json = False) -> None:
    """Write one self-contained HTML page that shows what was kept and why.

    Example: efficient-empathy report --run runs/mine
    """
    from efficient_empathy.report import report as run_report
    from efficient_empathy.workspace import Workspace

    result = run_report(Workspace(run))
    _print(result, as_json, f"Report: {result['path']}")


@app.command()
def distill(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for the judge.", show_default=False)],
    base: Annotated[str | None, typer.Option(help="The pre-trained encoder: a folder or a hub name.")] = None,
    name: Annotated[str, typer.Option(help="What its judgements are signed with.")] = "distilled",
    rubric: Rubric = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.")] = 5,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of initialisation, order and folds.")] = 0,
    data: Annotated[str, typer.Option(help="For the card: where the judgements come from.")] = "",
    licence: Annotated[str, typer.Option(help="For the card.")] = "other",
    as_json: Json = False,
) -> None:
    """Make an embedded judge from a run's judgements (extra `train`).

    Example: efficient-empathy distill --run runs/gpt4o -o my-judge
    """
    from efficient_empathy.distillation import run_distill, summary

    result = run_distill(run, output, rubric, base=base, name=name, folds=folds, epochs=epochs, seed=seed, data=data,
                         licence=licence, console=err)  # fmt: skip
    _print(result, as_json, summary(result, output))


def _print(record: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        typer.echo(json.dumps(record, ensure_ascii=False))
    else:
        out.print(text, markup=False)


def _pairs(items: list[str] | None, option: str) -> dict[str, str]:
    pairs = dict(item.partition("=")[::2] for item in items or [])
    if bad := [item for item in items or [] if "=" not in item]:
        raise UserError(f"{option} takes NAME=VALUE, not {bad[0]!r}")
    return pairs


def _columns(items: list[str] | None) -> dict[str, str] | None:
    return _pairs(items, "--column") or None


def _quota(value: str, category: str) -> float:
    try:
        return _amount(float(value)) or 0
    except ValueError:
        raise UserError(f"--quota {category} takes a number, not {value!r}") from None


def _amount(value: float | None) -> float | None:
    """A whole number of samples, or a fraction of them."""
    return int(value) if value is not None and value >= 1 and value.is_integer() else value


def main() -> None:
    """Entry point: a user's error is one sentence on stderr and exit status 1."""
    try:
        app()
    except UserError as error:
        err.print(f"Error: {error}", markup=False, style="bold red")
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("Interrupted. Nothing that was finished is lost: run the same command again to go on.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
