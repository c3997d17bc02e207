"""`efficient-empathy prompts golden`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, err, show
from efficient_empathy.foundation.errors import UserError


def golden(
    run: Annotated[Path | None, typer.Option("--run", help="The scored run to draw from.", show_default=False)] = None,
    n: Annotated[int, typer.Option("-n", help="How many items.", min=1)] = 200,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The golden set's folder.")] = None,
    name: Annotated[str | None, typer.Option(help="What it is called; the folder's name by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    policy: Annotated[str | None, typer.Option(help="Whose subsets tests watch; the run's by default.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Threshold of sensibility; the run's by default.")] = None,
    beta: Annotated[float | None, typer.Option(help="Threshold of rationality; the run's by default.")] = None,
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
    from efficient_empathy.prompts.golden.making import make_golden

    assert run is not None
    thresholds = {"policy": policy, "alpha": alpha, "beta": beta}
    _, told = make_golden(Workspace(run), output, n, name=name, seed=seed, force=force, **thresholds)
    show(told, as_json, _made(told))


def _made(told: dict[str, Any]) -> str:
    applied = told["thresholds"]
    lines = [
        f"{told['items']:,} items of {told['scored']:,} scored samples in {told['folder']}: {told['cells_covered']:,} "
        f"of {told['cells']:,} score cells, {told['categories_covered']:,} of {told['categories']:,} categories.",
        f"Expectations are the scores of {told['judge']}.",
        f"Watched: {applied['policy']}, α = {applied['alpha']:g}, β = {applied['beta']:g}.",
    ]
    if told["ranges"]:
        lines.insert(1, f"{told['ranges']:,} items have ranges: score ± deviation, as their judge gave one.")
    return "\n".join([*lines, f"Next: efficient-empathy prompts test {told['folder']} --judge openai:MODEL@URL"])


def _check(folder: Path, write: bool, rubric_file: Path | None, as_json: bool) -> None:
    from efficient_empathy.prompts.golden.golden_set import SHOWN, golden_folder, look_at, seal
    from efficient_empathy.scoring.rubric import Rubric

    rubric = Rubric.load(rubric_file) if rubric_file is not None else None
    place = golden_folder(folder)
    problems, found = ([], seal(place, rubric)) if write else look_at(place, rubric)
    record: dict[str, Any] = {"folder": str(place), "ok": not problems, "problems": problems}
    if found is None:
        if as_json:
            show(record, True, "")
        for problem in problems[:SHOWN]:
            err.print(f"Error: {problem}", markup=False, style="bold red")
        if len(problems) > SHOWN:
            err.print(f"… and {len(problems) - SHOWN:,} more.", markup=False)
        raise typer.Exit(1)
    ranges = sum(any(low < high for low, high in item.expected.values()) for item in found.items)
    record |= {"name": found.name, "items": len(found.items), "ranges": ranges, "corpus": found.manifest.corpus}
    told = (
        f"{place} is in order: {len(found.items):,} items, {ranges:,} of them with ranges, corpus {record['corpus']}."
    )
    show(record, as_json, f"{told}\nNext: efficient-empathy prompts test {folder} --judge openai:MODEL@URL")
