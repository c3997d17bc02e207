"""What the page Steps says of a run: what is there, and what each next step can be done with."""

from __future__ import annotations

from dataclasses import dataclass

from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.studio.server.judging import JUDGES

BASE = "base"
"""What the models that no expert is are called, by `generate --model`."""


@dataclass(frozen=True, slots=True)
class StepsView:
    """A run's subsets and models by name, and what stands in the way of each step; empty where nothing does."""

    subsets: dict[str, int]
    """The size of each subset of the current selection."""
    otherwise: str
    """The subset that is left out."""
    selection_fault: str
    """Why there is no current selection."""
    trained: tuple[str, ...]
    untrained: tuple[str, ...]
    """Subsets that an expert can be trained on and that have none."""
    mixed: bool
    models: tuple[str, ...]
    """Those that can respond."""
    responded: tuple[str, ...]
    """Those that have responded."""
    evaluated: bool
    reported: bool
    judges: tuple[str, ...]
    """Judges that were distilled from the run."""
    corrected: int
    """Samples whose scores people have corrected."""

    @property
    def mix_fault(self) -> str:
        """What mixing still needs."""
        return "" if len(self.trained) >= 2 else "Train at least two experts first."

    @property
    def evaluate_fault(self) -> str:
        """What evaluating still needs."""
        return "" if self.responded else "Let a model respond first."


def view_of(table: RunTable) -> StepsView:
    """The view of a run. Raises `UserError` where its manifest cannot be read."""
    workspace, stages = table.workspace, table.workspace.manifest().stages
    selection = table.selecting if table.selection.current else None
    trained = tuple(name.partition(":")[2] for name in stages if name.startswith("train:"))
    responded = tuple(name.partition(":")[2] for name in stages if name.startswith("generate:"))
    subsets = dict(selection.subsets) if selection else {}
    models = (BASE, *trained, *(folder.name for folder in workspace.composed if folder.is_dir()))
    return StepsView(
        subsets=subsets,
        otherwise=selection.otherwise if selection else "",
        selection_fault="" if selection else table.selection.sentence,
        trained=trained,
        untrained=tuple(name for name in subsets if name not in trained),
        mixed=workspace.moe.is_dir(),
        models=models,
        responded=responded,
        evaluated=workspace.evaluation.is_file(),
        reported=workspace.report.is_file(),
        judges=tuple(sorted(one.parent.name for one in (workspace.root / JUDGES).glob("*/judge.json"))),
        corrected=sum(bool(one.scores) for one in read_corrections(workspace.corrections).standing.values()),
    )
