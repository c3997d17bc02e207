"""A recipe: everything that a run does, in one YAML file that is checked before anything starts.

A section that is absent is a stage that is not run: a recipe of `data` and `score` alone scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.robustness.settings import SweepSettings, TuneSettings
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import Settings, load, unknown
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.scoring.judges.choice import JUDGES, JudgeOptions, judge_options
from efficient_empathy.scoring.judges.reference import FORMS
from efficient_empathy.scoring.panel import Pool
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import RulePolicy
from efficient_empathy.selection.settings import SelectSettings

BUNDLED = "bundled"
CASCADE = "cascade"
RECIPES = Path(str(files("efficient_empathy") / "assets" / "recipes"))
DIALOGUES = Path(str(files("efficient_empathy") / "assets" / "dialogues"))
_SEEDED = ("select", "sweep", "tune", "train", "mix", "generate", "evaluate")
_NEEDS = (
    ("sweep", "select"), ("tune", "select"), ("train", "select"), ("mix", "train"), ("generate", "train"),
    ("evaluate", "generate"),
)  # fmt: skip
"""Sections that take the recipe's seed, and which section needs which."""


class DataSection(ReadingSettings):
    """What is read."""

    source: str = BUNDLED
    """A file, a folder, hub:org/name, or `bundled`: the dialogues that ship with the package."""

    @property
    def place(self) -> str | Path:
        """Where the source lies."""
        return DIALOGUES if self.source == BUNDLED else self.source


class ScoreSection(Settings):
    """Who judges, and how; the other keys are options of the judges (see `JudgeOptions`)."""

    model_config = ConfigDict(extra="allow")

    judge: str | tuple[str, ...] = "distilled"
    """A judge, a list of them, of which `pool` makes one score, or cascade, which `cascade` describes."""
    pool: Pool = "median"
    """How several judgements of a sample become one score; first: of the first judge that has one."""
    rubric: Path | None = None
    """A rubric file, or empathy or quality of the package; empathy by default."""
    cascade: CascadeSettings = CascadeSettings()
    """How the distilled judge and an expert share the work, with `judge: cascade`."""

    @model_validator(mode="after")
    def _known(self) -> ScoreSection:
        for name in self.judges if self.judge != CASCADE else ():
            if name.partition(":")[0] not in JUDGES:
                raise ValueError(f"there is no judge {name!r}: write {FORMS} or {CASCADE}")
        names = [field.name for field in fields(JudgeOptions)]
        for key in self.model_extra or {}:
            if key not in names:
                raise ValueError(unknown(key, [*ScoreSection.model_fields, *names]))
        try:
            self.options()
        except UserError as error:
            raise ValueError(str(error).removeprefix("the judge's options: ")) from error
        return self

    @property
    def judges(self) -> tuple[str, ...]:
        """All judges, in their order."""
        return (self.judge,) if isinstance(self.judge, str) else self.judge

    def options(self) -> JudgeOptions:
        """The judges' options. Raises `UserError`."""
        return judge_options(self.model_extra or {})


class TrainSection(TrainingSettings):
    """Which experts are trained, and how."""

    experts: tuple[str, ...] = ()
    """The subsets that become experts, which are mixed if there is a section `mix`; by default every subset that the
    policy selects."""
    baselines: tuple[str, ...] = ()
    """Subsets trained for comparison alone: union, all, discard, random."""
    size: int | None = Field(default=None, gt=0)
    """Of the baseline `random`; as many as the policy's first subset has by default."""

    @property
    def settings(self) -> TrainingSettings:
        """What every one of them is trained with."""
        return TrainingSettings(**{name: getattr(self, name) for name in TrainingSettings.model_fields})


class GenerateSection(GenerationSettings):
    """Which models answer, and how."""

    models: tuple[str, ...] = ()
    """Names of the run's models; all of them by default."""

    @property
    def settings(self) -> GenerationSettings:
        """How each of them answers."""
        return GenerationSettings(**{name: getattr(self, name) for name in GenerationSettings.model_fields})


class Recipe(Settings):
    """One run, from dialogues to a compared mixture of experts."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$")
    """What the run is called."""
    run: Path | None = None
    """The run's folder; runs/NAME by default."""
    seed: int = 0
    """Of every stage that has none of its own."""
    data: DataSection = DataSection()
    """What is read."""
    score: ScoreSection = ScoreSection()
    """Who judges, and how."""
    select: SelectSettings | None = None
    """How scores become subsets."""
    sweep: SweepSettings | None = None
    """A grid of other thresholds."""
    tune: TuneSettings | None = None
    """Thresholds for a target."""
    train: TrainSection | None = None
    """Which experts are trained, and how."""
    mix: MixSettings | None = None
    """How the experts are mixed, and the routers trained."""
    generate: GenerateSection | None = None
    """Which models answer, and how."""
    evaluate: EvaluationSettings | None = None
    """Which figures the answers get."""

    @model_validator(mode="before")
    @classmethod
    def _seeded(cls, content: Any) -> Any:
        """Give the recipe's seed to the stages that name none."""
        if not isinstance(content, dict) or "seed" not in content:
            return content
        stages = {name: content[name] for name in _SEEDED if isinstance(content.get(name), dict)}
        seeded = {name: {"seed": content["seed"], **stage} for name, stage in stages.items()}
        return {**content, **seeded}

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        for later, earlier in _NEEDS:
            if getattr(self, later) is not None and getattr(self, earlier) is None:
                raise ValueError(f"a section `{later}` needs a section `{earlier}`")
        if self.mix is not None and len(self.experts) < 2:
            raise ValueError("a section `mix` needs two or more train.experts")
        return self

    @property
    def experts(self) -> tuple[str, ...]:
        """The subsets that become experts: those of `train.experts`, else all that the policy selects."""
        if self.train is None or self.select is None:
            return ()
        return self.train.experts or self._selected_subsets(self.select)

    def _selected_subsets(self, section: SelectSettings) -> tuple[str, ...]:
        """The policy's subsets without the one that is left out; of a policy that takes the top, one for each axis."""
        policy = section.load_policy()
        if isinstance(policy, RulePolicy):
            return tuple(name for name in policy.subsets if name != policy.otherwise)
        return tuple(policy.top) if isinstance(policy.top, dict) else Rubric.load(self.score.rubric).axis_names

    @property
    def folder(self) -> Path:
        """Where the run goes."""
        return self.run or Path("runs") / self.name

    @classmethod
    def load(cls, path: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
        """Read a recipe file, or a bundled one by its name; `changes` sets keys: `{"train.epochs": "2"}`.

        Raises `UserError` that names the file and the key for anything that is not allowed.
        """
        return load(cls, _find(path), "the recipe", changes)


def bundled_recipes() -> list[str]:
    """The names of the recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _find(path: str | Path) -> Path:
    if str(path) in bundled_recipes() and not Path(path).is_file():
        return RECIPES / f"{path}.yaml"
    if not Path(path).is_file():
        raise UserError(f"{path} is no recipe: give a YAML file or one of {', '.join(bundled_recipes())}")
    return Path(path)
