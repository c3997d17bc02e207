"""The contract of what has judges work elsewhere than in this process, such as on a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from efficient_empathy.dialogues.source import Source
from efficient_empathy.foundation.console import Console
from efficient_empathy.llm.runner import Work
from efficient_empathy.scoring.judges.contract import CheckedJudge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.progress import ProgressDisplay


@dataclass(frozen=True)
class Assignment:
    """What there is to do with one judge: bring every sample of a run to it that has no `ok` judgement of it yet."""

    judge: CheckedJudge
    """Tells who judges, and what may be spent; it is built anew, from its `blueprint`, where it works."""
    ledger: Ledger
    """Beside the run's samples, in the run's folder."""
    display: ProgressDisplay
    console: Console
    total: int
    """Different samples of the run."""
    done: int
    """Those that have an `ok` judgement."""
    under_way: Collection[str]
    """Those that are not to be judged, since their answers are still to come from elsewhere."""


class Engine(Protocol):
    """Where judges work, and files are read."""

    def read(self, source: Source, run: Path) -> Iterator[pl.DataFrame] | None:
        """The samples of a source in order, as frames, its intake as after a pass; None where it is to be read here.

        `run` is the folder of the run. Raises `UserError` as the source does.
        """
        ...

    def work(self, assignment: Assignment) -> Work[Any, Any]:
        """The work of one assignment, for the runner, which waits for its end.

        Signals that come during it let the calls in flight finish, as everywhere. Raises `UserError` where the engine
        cannot work, before anything is asked.
        """
        ...
