"""`corrections add`, `list`, `withdraw`, `export`, `import`: people correct the machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.options import Json, Run, show
from efficient_empathy.labelling.corrections.settings import (
    CorrectionSettings,
    ImportSettings,
    SamplesSettings,
    SpeakerSettings,
)

Numbers = Annotated[
    list[int], typer.Argument(metavar="NUMBER…", help="Which, by its number in the list.", show_default=False)
]
Samples = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="SAMPLE", help="Of this sample alone; repeatable.", show_default=False),
]


def add(run: Run, which: SamplesSettings, said: CorrectionSettings, as_json: Json = False) -> None:
    """Correct samples of a run: a score, a subset, tags, a note. It is on the disk when the command ends.

    What people set stands in place of the judge's word wherever the run is read; `select` takes it over.

    Example: efficient-empathy corrections add --run runs/mine --id 3f2a… --score sensibility=3 --reason "it scolds"

    Example: efficient-empathy corrections add --run runs/mine --where "response_words < 3" --subset discard --by ann
    """
    from efficient_empathy.foundation.run.table import RunTable
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.corrections.store import choose, correct
    from efficient_empathy.labelling.corrections.words import summary

    workspace = Workspace(run)
    one = correct(workspace, choose(RunTable(workspace).require("samples"), which), said)
    show(one, as_json, summary(one, run))


def list_(
    run: Run,
    sample: Annotated[
        str | None, typer.Option("--id", metavar="SAMPLE", help="Of this sample alone.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what people corrected: who, when, why, and what was taken back.

    Example: efficient-empathy corrections list --run runs/mine
    """
    from efficient_empathy.foundation.run.table import RunTable
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.corrections.words import entries, listing

    table = RunTable(Workspace(run)).require("samples")
    counts = table.count_corrections()
    content = {"corrections": entries(table.said, sample), "counts": counts.model_dump(mode="json")}
    show(content, as_json, listing(table.said, counts, sample))


def withdraw(
    run: Run, numbers: Numbers, speaker: SpeakerSettings, sample: Samples = None, as_json: Json = False
) -> None:
    """Take corrections back, for all of their samples or for some; what was said before stands again.

    Example: efficient-empathy corrections withdraw 3 --run runs/mine --by ann --reason "misread"
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.corrections.store import withdraw as take_back
    from efficient_empathy.labelling.corrections.words import summary

    lines = take_back(Workspace(run), numbers, speaker, sample or ())
    content = {"corrections": [one.model_dump(mode="json") for one in lines]}
    show(content, as_json, "\n".join(summary(one, run) for one in lines))


def export(
    run: Run,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="FILE.csv, FILE.jsonl or FILE.parquet.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Write what people say of samples now as a table: a row a sample and correction, for a spreadsheet or another run.

    Example: efficient-empathy corrections export --run runs/mine -o corrections.csv
    """
    from efficient_empathy.foundation.figures.formatting import plural
    from efficient_empathy.foundation.run.table import RunTable
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.corrections.exchange import table_of, write_table

    table = RunTable(Workspace(run)).require("samples")
    frame = table_of(table.said, table.axis_names)
    write_table(frame, output)
    rows = plural(len(frame), "row")
    show({"rows": len(frame), "output": str(output)}, as_json, f"{rows} in {output}")


def import_(run: Run, settings: ImportSettings, as_json: Json = False) -> None:
    """Correct what a table says otherwise than the run, a row a sample: one that was exported and edited, for example.

    Example: efficient-empathy corrections import --run runs/mine --file corrections.csv --by ann
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.corrections.exchange import import_table
    from efficient_empathy.labelling.corrections.words import import_summary

    result = import_table(Workspace(run), settings)
    show(asdict(result), as_json, import_summary(result, run))
