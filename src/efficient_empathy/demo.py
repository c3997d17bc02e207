"""The main job on the embedded parts: bundled dialogues, distilled judge, the paper's policy."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.errors import UserError
from efficient_empathy.report import report
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from efficient_empathy.workspace import Workspace

DIALOGUES = Path(str(files("efficient_empathy") / "assets" / "dialogues"))


def demo(run: Path, console: Console) -> dict[str, Any]:
    """Read, score, select and report into `run`; returns counts, places and a `summary` in words."""
    workspace = Workspace(run)
    scored = score(DIALOGUES, workspace, console=console)
    if scored["ending"] != "complete":
        raise UserError(f"stopped with {scored['unjudged']:,} samples to go: the same command goes on from there")
    selected = select(workspace)
    written = report(workspace)
    total = scored["samples"]
    shares = [f"  {name:<12} {count:>5}  {count / total:>6.1%}" for name, count in selected["subsets"].items()]
    summary = "\n".join(
        [
            f"{scored['states']['ok']:,} of {total:,} samples scored by the distilled judge, at no cost.",
            f"Policy {selected['policy']}, α = {selected['alpha']:g}, β = {selected['beta']:g}:",
            *shares,
            f"Data sets: {workspace.selection}",
            f"Report:    {workspace.report}",
        ]
    )
    places = {"run": str(run), "selection": str(workspace.selection), "report": written["path"]}
    return {"samples": total, "subsets": selected["subsets"], **places, "summary": summary}
