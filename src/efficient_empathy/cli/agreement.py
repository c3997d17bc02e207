"""`efficient-empathy agreement`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, show
from efficient_empathy.evaluation.agreement.settings import AgreementSettings


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
    show(result.model_dump(mode="json"), as_json, summary(result))
