"""Everything that the report shows beyond the selection: models, how they compare, and whether thresholds matter."""

from __future__ import annotations

from dataclasses import dataclass

from efficient_empathy.foundation.run.manifest import Manifest
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.modelling.moe.record import ROUTERS
from efficient_empathy.report.sections.answers import Answers, answers
from efficient_empathy.report.sections.efficiency import Efficiency, efficiency
from efficient_empathy.report.sections.evaluation import Evaluation, evaluation
from efficient_empathy.report.sections.people import People, Preferences, people, preferences
from efficient_empathy.report.sections.routers import Routers, routers
from efficient_empathy.report.sections.sweep import Sweep, sweep
from efficient_empathy.report.sections.synthesis import Synthetic, synthetic
from efficient_empathy.report.sections.training import Comparison, Training, comparison, training
from efficient_empathy.report.sections.tuning import Tuning, tuning

_STAGES = ("synthesize", "prove", "mix", "train:", "generate:", "evaluate", "pairwise:", "sweep", "tune")
"""How the names of the stages that these sections show begin."""


@dataclass(frozen=True, slots=True)
class Models:
    """The sections; each is None where the run has no files for it."""

    synthetic: Synthetic | None
    training: Training | None
    comparison: Comparison | None
    routers: Routers | None
    answers: Answers | None
    evaluation: Evaluation | None
    efficiency: Efficiency | None
    sweep: Sweep | None
    tuning: Tuning | None
    preferences: Preferences | None
    people: list[People]

    @property
    def subsets(self) -> list[str]:
        """Every subset that some section draws, and experts, which are named after theirs."""
        sections = (self.training, self.comparison, self.routers)
        prompts = self.answers.prompts if self.answers else []
        names = [name for section in sections if section for name in section.subsets]
        experts = self.routers.record.experts if self.routers and self.routers.record else []
        names += self.synthetic.subsets if self.synthetic else []
        return list(dict.fromkeys([*names, *experts, *(prompt.subset for prompt in prompts if prompt.subset)]))

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Address and title of the sections that there are."""
        every = [
            ("synthesis", "Synthetic", self.synthetic),
            ("training", "Training", self.training),
            ("comparison", "Comparison", self.comparison),
            ("routers", "Routers", self.routers),
            ("answers", "Answers", self.answers),
            ("evaluation", "Evaluation", self.evaluation),
            ("efficiency", "Efficiency", self.efficiency),
            ("sweep", "Sweep", self.sweep),
            ("tuning", "Tuning", self.tuning),
            ("preferences", "Preferences", self.preferences),
            ("people", "People", self.people),
        ]
        return [(address, title) for address, title, section in every if section]


def models_of(table: RunTable) -> Models:
    """Read what the stages after the selection left in a run's folder."""
    workspace, subsets = table.workspace, table.subsets
    results = evaluation(workspace.evaluation)
    titles = {model.name: model.title for model in results.models} if results else {}
    return Models(
        synthetic(table),
        training(workspace.experts, subsets),
        comparison(workspace.comparison, subsets),
        routers(workspace.moe / ROUTERS, subsets),
        answers(table, workspace.generations),
        results,
        efficiency(results),
        sweep(workspace.sweep / "sweep.json"),
        tuning(workspace.tuning / "tuning.json"),
        preferences(workspace.root / "evaluation" / "pairwise", titles),
        people(workspace, titles),
    )


def latest(manifest: Manifest) -> float:
    """When the last of these stages ended; 0 where there was none."""
    return max((manifest.finished_at(name) for name in manifest.stages if name.startswith(_STAGES)), default=0.0)
