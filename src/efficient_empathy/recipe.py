"""A recipe: everything that a run does, in one YAML file that is checked before anything starts.

A section that is absent is a stage that is not run: a recipe of `data` and `score` alone scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from efficient_empathy.cluster.settings import ClusterSettings, cluster_needs
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.robustness.settings import SweepSettings, TuneSettings
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds, Reads, needs_of
from efficient_empathy.foundation.permissions import Permission, note, require, write_to
from efficient_empathy.foundation.settings import Settings, describe_unknown, load
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.llm.permissions import endpoint_needs
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.permissions import judge_needs
from efficient_empathy.scoring.judges.registry import check_options, options_model, settings_of
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.settings import ScoreSettings
from efficient_empathy.selection.policies import RulePolicy, make_selector
from efficient_empathy.selection.settings import SelectSettings
from efficient_empathy.synthesis.settings import SynthesisSettings

BUNDLED = "bundled"
RECIPES = Path(str(files("efficient_empathy") / "assets" / "recipes"))
DIALOGUES = Path(str(files("efficient_empathy") / "assets" / "dialogues"))
_STAGES_WITH_SEED = ("cascade", "select", "synthesize", "sweep", "tune", "train", "mix", "generate", "evaluate")
_NEEDS = (
    ("synthesize", "select"), ("sweep", "select"), ("tune", "select"), ("train", "select"), ("mix", "train"),
    ("generate", "train"), ("evaluate", "generate"),
)  # fmt: skip
"""Sections that take the recipe's seed, and which section needs which."""


class DataSection(ReadingSettings):
    """What is read."""

    source: Annotated[str, Reads()] = BUNDLED
    """A file, a folder, a URL (s3://, gs://, az://, hf://, https://), hub:org/name, or `bundled`: the dialogues
    that ship with the package."""

    @property
    def place(self) -> str | Path:
        """Where the source lies."""
        return DIALOGUES if self.source == BUNDLED else self.source


class ScoreSection(ScoreSettings, BatchSettings, ClusterSettings):
    """Who judges, and how; the other keys are options of the judges."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _asks_judges(self) -> Self:
        _check_judges(self, self.judge)
        return self


class CascadeSection(CascadeSettings, BatchSettings):
    """How the distilled judge, further steps and an expert share the work; the other keys are options of the judges."""

    model_config = ConfigDict(extra="allow")

    rubric: Path | None = None
    """A rubric file; empathy by default."""

    @model_validator(mode="after")
    def _asks_judges(self) -> Self:
        _check_judges(self, (*self.step, self.expert))
        return self

    @property
    def settings(self) -> CascadeSettings:
        """What is guaranteed, and how it is proven."""
        names = self.model_fields_set & CascadeSettings.model_fields.keys()
        return CascadeSettings(**{name: getattr(self, name) for name in names})


class RefreshSection(RefreshSettings):
    """Which samples are judged again, and by whom; the other keys are options of the judge."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _asks_judges(self) -> Self:
        if self.judge is not None:
            _check_judges(self, (self.judge,))
        return self


def _check_judges(section: Settings, judges: Sequence[str]) -> None:
    options = section.model_extra or {}
    keys = [*type(section).model_fields, *options_model().model_fields]
    for key in options:
        if key not in keys:
            raise ValueError(describe_unknown(key, keys))
    try:
        check_options(judges, options)
    except UserError as error:
        raise ValueError(str(error)) from error


class SynthesizeSection(SynthesisSettings):
    """Synthetic samples for what the run lacks."""

    model: Annotated[str, Reads()]
    """Who writes them: base, a model's folder, a name of the hub, or with `endpoint` the name that it goes by there."""
    endpoint: EndpointOptions | None = None
    """How a model behind an API is reached."""
    repeat: int = Field(default=1, ge=1, le=100)
    """Rounds: each makes `samples` more for what the run then lacks, judges again as the section `refresh` says, and
    selects."""

    @property
    def settings(self) -> SynthesisSettings:
        """How many, by what, and what they must come through."""
        return SynthesisSettings(**{name: getattr(self, name) for name in SynthesisSettings.model_fields})


class TrainSection(TrainingSettings):
    """Which experts are trained, and how."""

    experts: tuple[str, ...] = ()
    """The subsets that become experts, which are mixed if there is a section `mix`; by default every subset that the
    policy selects."""
    baselines: tuple[str, ...] = ()
    """Subsets trained for comparison alone: union, all, discard, random."""
    size: int | None = Field(default=None, gt=0)
    """The size of the baseline `random`; as many as the policy's first subset has by default."""

    @property
    def settings(self) -> TrainingSettings:
        """What every one of them is trained with."""
        return TrainingSettings(**{name: getattr(self, name) for name in TrainingSettings.model_fields})


class GenerateSection(GenerationSettings):
    """Which models answer, and how."""

    models: Annotated[tuple[str, ...], Reads()] = ()
    """Names of the run's models; all of them by default."""

    @property
    def settings(self) -> GenerationSettings:
        """How each of them answers."""
        return GenerationSettings(**{name: getattr(self, name) for name in GenerationSettings.model_fields})


class Recipe(Settings):
    """One run, from dialogues to a compared mixture of experts."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[\w-][\w.-]*$")
    """What the run is called: letters, digits, dashes, and dots but for the first."""
    run: Path | None = None
    """The run's folder; runs/NAME by default."""
    seed: int = 0
    """The seed of every stage that has none of its own."""
    data: DataSection = DataSection()
    """What is read."""
    score: ScoreSection | None = None
    """Who judges, and how; the distilled judge by default, unless there is a section `cascade`."""
    cascade: CascadeSection | None = None
    """Instead of `score`: the distilled judge where it is sure, an expert elsewhere."""
    refresh: RefreshSection | None = None
    """Which samples are judged again."""
    select: SelectSettings | None = None
    """How scores become subsets."""
    synthesize: SynthesizeSection | None = None
    """Synthetic samples for what the run lacks; it is refreshed and selected again with them."""
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
    def _share_seed(cls, content: Any) -> Any:
        """Give the recipe's seed to the stages that name none."""
        if not isinstance(content, dict) or "seed" not in content:
            return content
        stages = {name: content[name] for name in _STAGES_WITH_SEED if isinstance(content.get(name), dict)}
        with_seed = {name: {"seed": content["seed"], **stage} for name, stage in stages.items()}
        return {**content, **with_seed}

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        if self.score is not None and self.cascade is not None:
            raise ValueError("a recipe has a section `score` or a section `cascade`, not both")
        for later, earlier in _NEEDS:
            if getattr(self, later) is not None and getattr(self, earlier) is None:
                raise ValueError(f"a section `{later}` needs a section `{earlier}`")
        self._require_axes()
        if self.mix is not None and len(self.experts) < 2:
            raise ValueError("a section `mix` needs two or more train.experts")
        return self

    def _require_axes(self) -> None:
        """Refuse policies that do not fit the rubric, which stages would refuse only after scores are paid for."""
        from efficient_empathy.evaluation.robustness.grid import cells_of
        from efficient_empathy.evaluation.robustness.sweep_stage import sweep_ranges
        from efficient_empathy.evaluation.robustness.tune_stage import tune_cells

        place = "cascade" if self.cascade else "score"
        try:
            scales = self.load_rubric().scales
            if self.select is not None:
                place = "select"
                make_selector(self.select.load_policy(), scales, decide=self.select.decide)
            if self.sweep is not None:
                place = "sweep"
                cells_of(sweep_ranges(self.sweep, scales))
            if self.tune is not None:
                place = "tune"
                tune_cells(self.tune, scales)
        except UserError as error:
            raise ValueError(f"{place}: {error}") from error

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
        return tuple(policy.top) if isinstance(policy.top, dict) else self.load_rubric().axis_names

    def load_rubric(self) -> Rubric:
        """The rubric of the scores. Raises `UserError` where it cannot be read."""
        section = self.cascade or self.score
        return Rubric.load(section.rubric if section else None)

    @property
    def folder(self) -> Path:
        """Where the run goes."""
        return self.run or Path("runs") / self.name

    @classmethod
    def load(
        cls, path: str | Path, changes: Mapping[str, Any] | None = None, *, run: str | Path | None = None
    ) -> Recipe:
        """Read a recipe file, or a bundled one by its name; `changes` sets keys: `{"train.epochs": "2"}`.

        `run` is the run's folder, where it is not the recipe's to say. A recipe reads its own folder and the run;
        what reaches further takes permissions (`foundation.permissions`), but for keys that `changes` sets.

        Raises `UserError` that names the file and the key for anything that is not allowed.
        """
        file = _find(path)
        if file.resolve().parent == RECIPES.resolve():
            return load(cls, file, "the recipe", changes)
        where = file.resolve().parent

        def check(content: dict[str, Any]) -> None:
            name = Path(str(content.get("name"))).name
            folder = Path(run or str(content.get("run") or Path("runs") / name)).expanduser().resolve()
            bounds = Bounds((where, folder), {*(changes or {}), *(("run",) if run else ())})
            require(f"the recipe {path}", _needs(content, bounds))
            note(one for one in _needs(content, Bounds(bounds.folders)) if one.kind in ("key", "host"))

        return load(cls, file, "the recipe", changes, check=check)


_JUDGES = (
    ("score", "judge", "distilled"), ("cascade", "step", "distilled"), ("cascade", "expert", "openai"),
    ("refresh", "judge", None),
)  # fmt: skip
"""The sections that name judges beside options of theirs: the key, and the judge without it."""


def _needs(content: Mapping[str, Any], bounds: Bounds) -> Iterator[Permission]:
    """What a recipe's content asks for that is not its own to decide."""
    yield from needs_of(Recipe, {key: value for key, value in content.items() if key != "run"}, bounds)
    own_places = (bounds.folders[0], Path("runs").resolve())
    if (run := content.get("run")) is not None and not bounds.is_users("run"):
        place = Path(str(run)).expanduser().resolve()
        if not any(place.is_relative_to(own) for own in own_places):
            yield write_to(place)
    for name, key, default in _JUDGES:
        if isinstance(section := content.get(name), Mapping):
            yield from _judges_needs(section, name, key, default, bounds)
    scoring = content.get("score")
    if isinstance(scoring, Mapping) and not bounds.is_users("score.cluster"):
        yield from cluster_needs(scoring.get("cluster"))
    synthesis = content.get("synthesize")
    if isinstance(synthesis, Mapping) and isinstance(endpoint := synthesis.get("endpoint"), Mapping):
        yield from _generator_needs(endpoint, bounds)
    evaluation = content.get("evaluate")
    if isinstance(evaluation, Mapping) and isinstance(judge := evaluation.get("judge"), Mapping):
        yield from _judges_needs(judge, "evaluate.judge", "judge", "openai", bounds)
        if not bounds.is_users("evaluate.judge.rubric"):
            yield from bounds.reading(judge.get("rubric"))


def _generator_needs(endpoint: Mapping[str, Any], bounds: Bounds) -> Iterator[Permission]:
    """What the endpoint of a generating model asks for. One that is none is left to the model."""
    headers, key = endpoint.get("headers"), endpoint.get("api_key_env")
    chosen = {name for name in endpoint if not bounds.is_users(f"synthesize.endpoint.{name}")}
    with suppress(UserError, ValueError, TypeError, AttributeError):
        yield from endpoint_needs(
            str(endpoint.get("wire", "openai")),
            str(endpoint["base_url"]) if "base_url" in endpoint else None,
            headers if isinstance(headers, Mapping) else {},
            str(key) if key else None,
            chosen,
        )


def _judges_needs(
    section: Mapping[str, Any], name: str, key: str, default: str | None, bounds: Bounds
) -> Iterator[Permission]:
    """What the judges of a section ask for. One that is none is left to the model, which says what is wrong with it."""
    judges = section.get(key) or default
    every = options_model().model_fields
    options = {option: value for option, value in section.items() if option in every and value is not None}
    for judge in [judges] if isinstance(judges, str) else judges if isinstance(judges, list) else ():
        if not isinstance(judge, str):
            continue
        try:
            detail = settings_of(judge)[1].model_fields_set
            chosen = settings_of(judge, options)[1].model_fields_set
        except UserError:
            continue
        users = {one for one in chosen if bounds.is_users(f"{name}.{key}" if one in detail else f"{name}.{one}")}
        yield from judge_needs(judge, options, bounds, users)


def bundled_recipes() -> list[str]:
    """The names of the recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _find(path: str | Path) -> Path:
    if str(path) in bundled_recipes() and not Path(path).is_file():
        return RECIPES / f"{path}.yaml"
    if not Path(path).is_file():
        raise UserError(f"{path} is no recipe: give a YAML file or one of {', '.join(bundled_recipes())}")
    return Path(path)
