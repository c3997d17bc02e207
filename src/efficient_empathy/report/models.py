"""Everything that the report shows of models: their training, comparison, routers and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efficient_empathy.report.answers import Answers, answers
from efficient_empathy.report.comparison import Comparison, comparison
from efficient_empathy.report.routers import Routers, routers
from efficient_empathy.report.run import Run
from efficient_empathy.report.training import Training, training


@dataclass(frozen=True, slots=True)
class Models:
    """The sections on models; each is None where the run has no files for it."""

    training: Training | None
    comparison: Comparison | None
    routers: Routers | None
    answers: Answers | None

    @property
    def subsets(self) -> list[str]:
        """Every subset that some section draws."""
        sections = (self.training, self.comparison, self.routers)
        prompts = self.answers.prompts if self.answers else []
        names = [name for section in sections if section for name in section.subsets]
        return list(dict.fromkeys([*names, *(p.subset for p in prompts if p.subset)]))

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Address and title of the sections that there are."""
        every = [
            ("training", "Training", self.training),
            ("comparison", "Comparison", self.comparison),
            ("routers", "Routers", self.routers),
            ("answers", "Answers", self.answers),
        ]
        return [(address, title) for address, title, section in every if section]


def models_of(run: Run) -> Models:
    """Read what training, mixing and generation left in a run's folder."""
    workspace = run.workspace
    return Models(
        training(workspace.experts),
        comparison(workspace.comparison),
        routers(workspace.moe / "routers.json"),
        answers(run, workspace.generations),
    )


def latest(stages: Mapping[str, dict[str, Any]]) -> float:
    """When the last of the stages on models ended; 0 where there was none."""
    of_models = [record for name, record in stages.items() if name == "mix" or name.startswith(("train:", "generate:"))]
    return max((record.get("finished_at", 0.0) for record in of_models), default=0.0)
