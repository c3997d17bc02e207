"""`efficient-empathy analytics`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Force, Json, Run, show
from efficient_empathy.foundation.errors import UserError


def analytics(
    run: Run,
    against: Annotated[
        Path | None, typer.Option(help="Measure drift from this run instead of between periods.", show_default=False)
    ] = None,
    periods: Annotated[
        str,
        typer.Option(
            help="Drift between the halves of the file (half), of the time of judging (judged), or the values "
            "of a column: split, source, category, turn."
        ),
    ] = "half",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the JSON here as well.", show_default=False)
    ] = None,
    topics: Annotated[
        int | None, typer.Option(help="How many topics; by default 2 to 20 by the number of dialogues.", min=2, max=100)
    ] = None,
    longest: Annotated[int, typer.Option(help="A response of more words is too long.", min=1)] = 120,
    longest_context: Annotated[int, typer.Option(help="A context of more words is too long.", min=1)] = 400,
    similarity: Annotated[
        float, typer.Option(help="Near duplicates share so much of their three-word sequences.", min=0.5, max=1)
    ] = 0.8,
    regions: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            help="Find telephone numbers as they are written in this region, a code such as DE; repeatable. By default "
            "US and GB; numbers that begin with + are found anyway.",
            show_default=False,
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Draws of dialogues behind intervals; 0 for none.", min=0)] = 200,
    confidence: Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)] = 0.95,
    seed: Annotated[int, typer.Option(help="Of topics, draws and MinHash.", min=0)] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Look at a scored run: scores by category and topic, what the selection keeps, drift, cost, faults of the data.

    Example: efficient-empathy analytics --run runs/may --against runs/april
    """  # fmt: skip
    from efficient_empathy.analytics import AnalyticsSettings, summary
    from efficient_empathy.analytics import analytics as analyse
    from efficient_empathy.foundation.run.workspace import Workspace

    if against is not None and periods != "half":
        raise UserError("--against and --periods do not go together: drift is from another run, or between periods")
    settings = AnalyticsSettings(
        against=against, periods=periods, topics=topics, longest=longest, longest_context=longest_context,
        similarity=similarity, resamples=resamples, confidence=confidence, seed=seed,
        **({"regions": tuple(regions)} if regions else {}),
    )  # fmt: skip
    found = analyse(Workspace(run), settings, output=output, force=force)
    show(found, as_json, summary(found, run))
