"""The command line: parse, call, print. One file a wing, which is imported when a command of it is called."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from efficient_empathy.cli.lazy import LOOK, Place, Room, Table, lazy_group
from efficient_empathy.foundation.errors import UserError, require_utf8
from efficient_empathy.foundation.signals import end_in_order
from efficient_empathy.foundation.terminal import guard_streams

COMMANDS: Table = {
    "demo": Place("pipeline:demo", "Go from the bundled dialogues to a compared mixture of experts."),
    "run": Place("pipeline:run", "Run a recipe: score, select, train, mix, generate, report."),
    "inspect": Place("scoring:inspect", "Say what a source is: format, counts, categories, bad rows."),
    "score": Place("scoring:score", "Judge every sample of a source."),
    "replies": Place("scoring:replies", "Show what a run's judges replied, beside the samples."),
    "cascade": Place("labelling:cascade", "Score with the distilled judge where it is sure, an expert elsewhere."),
    "refresh": Place("labelling:refresh", "Judge samples of a scored run again where a score is uncertain."),
    "corrections": Room(
        "Correct what the judge and the policy said: scores, subsets, tags and notes of people.",
        {
            "add": Place("corrections:add", "Correct samples of a run."),
            "list": Place("corrections:list_", "Show what people corrected."),
            "withdraw": Place("corrections:withdraw", "Take corrections back."),
            "export": Place("corrections:export", "Write what stands as a table."),
            "import": Place("corrections:import_", "Correct what a table says otherwise than the run."),
        },
    ),
    "select": Place("selection:select", "Split a scored run into subsets and write them for fine-tuning."),
    "synthesize": Place("synthesis:synthesize", "Make synthetic dialogues where a run is thin; keep the good ones."),
    "sweep": Place("selection:sweep", "Move the thresholds over a grid; with --train, train on every cell."),
    "tune": Place("selection:tune", "Choose α and β for a target, cross-validated by dialogue."),
    "train": Place("modelling:train", "Train an expert on one subset of a selected run."),
    "mix": Place("modelling:mix", "Mix a run's experts, train the routers, and compare."),
    "generate": Place("modelling:generate", "Let a model respond to held-out contexts."),
    "evaluate": Place("evaluation:evaluate", "Put numbers to responses, of a run's models or of any files."),
    "pairwise": Place("evaluation:pairwise", "Let an LLM judge say which of two models responds better."),
    "report": Place("report:report", "Write one page that shows what was kept and why."),
    "distill": Place("labelling:distill", "Make an embedded judge from a run's judgements."),
    "fit-metric": Place("evaluation:fit_metric", "Fit the classifier of an empathy metric on labelled data."),
    "predict": Place("labelling:predict", "Predict how good conversations are with the distilled judge."),
    "agreement": Place("evaluation:agreement", "Compare judges and people on the same samples."),
    "check": Place("report:check", "Say whether a run is whole: every file, its ledger, what is out of date."),
    "push": Place("report:push", "Put a run's files into an object store, those that are not there yet."),
    "analytics": Place("report:analytics", "Look at a scored run: categories, topics, drift, cost, faults."),
    "studio": Place("studio:studio", "Open the studio on one or more runs, in a browser."),
    "serve": Place("service:serve", "Score conversations over HTTP as they come."),
    "prompts": Room(
        "Test and compare rubrics, judges and prompts before they are put to work.",
        {
            "golden": Place("prompts:golden", "Make a golden set from a scored run, or check one."),
            "test": Place("prompts:golden_test", "Put judges to a golden set, and say whether they changed."),
            "compare": Place("prompts:compare", "Put two rubrics, judges or runs side by side."),
            "trial": Place("synthesis:trial", "Have samples made by two prompts, and see which come through."),
            "list": Place("prompts:list_", "Show every rubric, and where and when it was used."),
        },
    ),
    "ratings": Room(
        "Let people rate responses: blinded sheets out, answers in.",
        {
            "sheets": Place("evaluation:sheets", "Make a blinded sheet for each rater."),
            "read": Place("evaluation:read", "Read filled-in sheets: means, wins, agreement, a ranking."),
        },
    ),
}

app = typer.Typer(
    name="efficient-empathy",
    cls=lazy_group(COMMANDS),
    help="Turn dialogues into a better empathetic model, on the part of the data that makes one.\n\n"
    "Example: efficient-empathy demo\n\n"
    "Example: efficient-empathy score dialogues.jsonl --run runs/mine && efficient-empathy select --run runs/mine "
    "&& efficient-empathy report --run runs/mine",
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **LOOK,
)


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


def main() -> None:
    """Entry point."""
    guard_streams()
    try:
        for argument in sys.argv[1:]:
            require_utf8(argument)
    except UserError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)
    end_in_order()
    app()
