"""`efficient-empathy agreement`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, show


class GridPolicies(StrEnum):
    """The policies with thresholds."""

    paper = "paper"
    exclusive = "exclusive"
    both = "both"


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
    people: Annotated[
        str, typer.Option(help="The raters who are people, e.g. ann,bo,cy: their own agreement is the ceiling.")
    ] = "",
    axis: Annotated[
        list[str] | None, typer.Option("--axis", help="Compare this axis; every axis that two raters share by default.")
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(
            "--scale", help="1-5, or AXIS=1-5; every category as AXIS=1,2,5; the values that occur as AXIS=occurring."
        ),
    ] = None,
    policy: Annotated[GridPolicies, typer.Option(help="How subsets are compared.")] = GridPolicies.paper,
    alpha: Annotated[float, typer.Option(help="The policy's threshold of sensibility.")] = 5,
    beta: Annotated[float, typer.Option(help="The policy's threshold of rationality.")] = 5,
    resamples: Annotated[int, typer.Option(help="Draws of dialogues behind the intervals; 0 for none.", min=0)] = 1000,
    confidence: Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)] = 0.95,
    seed: Annotated[int, typer.Option(help="Of those draws.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Compare judges and people on the same samples: agreement, bias, calibration, repeatability, as a page and JSON.

    Example: efficient-empathy agreement gpt=runs/gpt small=runs/distilled people.csv --people ann,bo -o agreement
    """
    from efficient_empathy.evaluation.agreement import AgreementSettings, measure_agreement, summary

    settings = AgreementSettings(
        people=_names(people),
        axes=tuple(one.strip().lower() for one in axis or ()),
        scales=tuple(scale or ()),
        policy=policy.value,
        alpha=alpha,
        beta=beta,
        draws=resamples,
        seed=seed,
        confidence=confidence,
    )
    found = measure_agreement(raters, output, settings)
    show(found, as_json, summary(found))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
