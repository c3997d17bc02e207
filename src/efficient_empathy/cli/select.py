"""`efficient-empathy select`."""

from __future__ import annotations

from efficient_empathy.cli.shared import Force, Json, Run, show
from efficient_empathy.selection.settings import SelectSettings


def select(run: Run, settings: SelectSettings, force: Force = False, as_json: Json = False) -> None:
    """Split a scored run into subsets and write them for fine-tuning. Never asks a judge.

    Example: efficient-empathy select --run runs/mine --policy paper --alpha 5 --beta 5

    Example: efficient-empathy select --run runs/mine --policy mine.yaml --threshold warmth=4

    Example: efficient-empathy select --run runs/mine --policy top --top 0.3
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.selection import select as run_select
    from efficient_empathy.selection import summary

    result = run_select(Workspace(run), settings, force=force)
    show(result, as_json, summary(result, run))
