"""`efficient-empathy prompts golden`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, err, show
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.settings import GoldenSettings


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
    made = make_golden(Workspace(run), output, settings, force=force)
    show(made.as_json(), as_json, summary(made))


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
    text = (
        f"{place} is in order: {len(found.items):,} items, {ranges:,} of them with ranges, corpus {record['corpus']}."
    )
    show(record, as_json, f"{text}\nNext: efficient-empathy prompts test {folder} --judge openai:MODEL@URL")
