"""Run a recipe's stages in order. Each skips itself when nothing that went into it has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import yaml
from pydantic import SerializeAsAny

from efficient_empathy.cluster import open_engine
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, redact_all
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.recipe import CascadeSection, Recipe, RefreshSection, ScoreSection, SynthesizeSection
from efficient_empathy.report import report
from efficient_empathy.scoring.record import ScoreResult
from efficient_empathy.scoring.stage import require_scores, score
from efficient_empathy.selection import select
from efficient_empathy.selection.stage import SelectResult

if TYPE_CHECKING:
    from efficient_empathy.evaluation.record import EvaluationResult
    from efficient_empathy.labelling.refresh.record import RefreshResult
    from efficient_empathy.modelling.generation.record import GenerationResult
    from efficient_empathy.modelling.moe.record import MixResult
    from efficient_empathy.synthesis.record import SynthesisResult

Result = TypeVar("Result", "ScoreResult", "RefreshResult", "GenerationResult", "SynthesisResult")
Step = tuple[str, Callable[[], Part]]


class RecipeResult(Part):
    """The run's folder, and by name what each stage did."""

    run: str
    stages: dict[str, SerializeAsAny[Part]]


def run_recipe(
    recipe: Recipe, workspace: Workspace | None = None, *, console: Console | None = None, force: bool = False
) -> RecipeResult:
    """Run every stage that the recipe has a section for, then the report; the recipe is kept as `recipe.yaml`.

    Killed at any point, the same call goes on from there;
    `force` makes all but the judgements anew. Raises `UserError` as the stages do, and where scoring ended early.
    """
    console = console or Console(stderr=True)
    workspace = (workspace or Workspace(recipe.folder)).create()
    stages: dict[str, Part] = {}
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        with atomic(workspace.root / "recipe.yaml") as path:
            content = redact_all(recipe.model_dump(mode="json", exclude_unset=True))
            path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
        steps = _steps(recipe, workspace, console, force)
        for number, (name, step) in enumerate(steps, 1):
            console.print(f"[{number}/{len(steps)}] {name}", style="bold")
            stages[name] = step()
            if getattr(stages[name], "skipped", False):
                console.print("      nothing has changed", style="dim")
    return RecipeResult(run=str(workspace.root), stages=stages)


def _steps(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> list[Step]:
    steps = _scoring(recipe, workspace, console, force)
    if recipe.select is not None:
        steps.append(("select", lambda: select(workspace, recipe.select, force=force)))
    if (section := recipe.synthesize) is not None:
        steps += _synthesis(recipe, section, workspace, console, force)
    if recipe.sweep is not None or recipe.tune is not None:
        steps += _robustness(recipe, workspace, console, force)
    if recipe.train is not None:
        steps += _training(recipe, workspace, console, force)
    if recipe.mix is not None and recipe.train is not None:
        steps.append(("mix", lambda: _mix(recipe, workspace, console, force)))
    if recipe.generate is not None:
        steps += _generation(recipe, workspace, console, force)
    if recipe.evaluate is not None:
        steps.append(("evaluate", lambda: _evaluate(recipe, workspace, console, force)))
    return [*steps, ("report", lambda: report(workspace))]


def _scoring(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> list[Step]:
    if recipe.cascade is not None:
        section = recipe.cascade
        steps: list[Step] = [("cascade", lambda: _cascade(recipe, section, workspace, console, force))]
    else:
        steps = [("score", lambda: _score(recipe, recipe.score or ScoreSection(), workspace, console, force))]
    if recipe.refresh is not None:
        again = recipe.refresh
        steps.append(("refresh", lambda: _refresh(recipe, again, workspace, console)))
    return steps


def _score(recipe: Recipe, section: ScoreSection, workspace: Workspace, console: Console, force: bool) -> ScoreResult:
    rubric, options = recipe.load_rubric(), section.model_extra
    with open_engine(section) as engine:
        result = score(
            recipe.data.place, workspace, section.judge, rubric, options, pool=section.pool or "median",
            batches=section, engine=engine, reading=recipe.data, console=console, force=force,
        )  # fmt: skip
    require_scores(result, section.max_failed)
    return _complete(result, "judgements")


def _cascade(
    recipe: Recipe, section: CascadeSection, workspace: Workspace, console: Console, force: bool
) -> ScoreResult:
    from efficient_empathy.labelling.cascade.record import CascadeResult
    from efficient_empathy.labelling.cascade.stage import cascade

    rubric, options = recipe.load_rubric(), section.model_extra
    result = cascade(
        recipe.data.place,
        workspace,
        section.settings,
        rubric,
        options,
        batches=section,
        reading=recipe.data,
        console=console,
        force=force,
    )
    assert isinstance(result, CascadeResult)  # no dry run
    require_scores(result)
    return _complete(result, "judgements")


def _refresh(recipe: Recipe, section: RefreshSection, workspace: Workspace, console: Console) -> RefreshResult:
    from efficient_empathy.labelling.refresh.stage import refresh

    result = refresh(workspace, section, recipe.load_rubric(), section.model_extra, console=console, skip_finished=True)
    return _complete(result, "judgements")


def _synthesis(
    recipe: Recipe, section: SynthesizeSection, workspace: Workspace, console: Console, force: bool
) -> list[Step]:
    """The rounds of synthetic samples, a step each, and whether they help."""
    from efficient_empathy.synthesis.proof.stage import prove, require_provable
    from efficient_empathy.synthesis.rounds import Rounds

    again, training = recipe.refresh, recipe.train.settings if recipe.train is not None else None
    rounds = Rounds(
        workspace, section.model, section.settings, section.endpoint, recipe.select,
        training=training,
        refresh=(lambda: _refresh(recipe, again, workspace, console)) if again is not None else None,
        refreshed_by=again.model_dump(mode="json") if again is not None else None,
        complete=lambda made: _complete(made, "synthetic samples"),
        repeat=section.repeat,
    )  # fmt: skip
    of_proof = (workspace, section.model, section.settings, section.endpoint, training)

    def one(number: int) -> Step:
        def step() -> Part:
            if section.prove and number == 1:
                require_provable(*of_proof)
            return rounds.run(number, console, force=force)

        return "synthesize" if section.repeat == 1 else f"synthesize, round {number} of {section.repeat}", step

    steps = [one(number) for number in range(1, section.repeat + 1)]
    if section.prove:
        steps.append(("prove", lambda: prove(*of_proof, console=console, force=force)))
    return steps


def _robustness(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> list[Step]:
    from efficient_empathy.evaluation.robustness import sweep, tune

    steps: list[Step] = []
    if (sweeping := recipe.sweep) is not None:
        training = recipe.train.settings if recipe.train else None
        answering = recipe.generate.settings if recipe.generate else None
        steps.append(("sweep", lambda: sweep(workspace, sweeping, training, answering, console=console, force=force)))
    if (tuning := recipe.tune) is not None:
        steps.append(("tune", lambda: tune(workspace, tuning, console=console, force=force)))
    return steps


def _evaluate(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> EvaluationResult:
    from efficient_empathy.evaluation import evaluate

    return evaluate(workspace, recipe.evaluate, console=console, force=force)


def _training(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> list[Step]:
    from efficient_empathy.modelling.training import train

    assert recipe.train is not None
    section = recipe.train

    def expert(subset: str) -> Step:
        size = section.size if subset == "random" else None
        return f"train {subset}", lambda: train(
            workspace, subset, section.settings, size=size, console=console, force=force
        )

    return [expert(subset) for subset in dict.fromkeys((*recipe.experts, *section.baselines))]


def _mix(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> MixResult:
    from efficient_empathy.modelling.moe import mix

    assert recipe.mix is not None
    assert recipe.train is not None
    return mix(workspace, recipe.mix, recipe.train.settings, experts=recipe.experts, console=console, force=force)


def _generation(recipe: Recipe, workspace: Workspace, console: Console, force: bool) -> list[Step]:
    from efficient_empathy.modelling.generation import generate

    section = recipe.generate
    assert section is not None
    assert recipe.train is not None
    expert_names = dict.fromkeys((*recipe.experts, *recipe.train.baselines))
    mixed = () if recipe.mix is None else ("average", "ties", "moe") if recipe.mix.ties else ("average", "moe")
    names = section.models or ("base", *expert_names, *mixed)

    def answers(model: str) -> Step:
        return f"generate {model}", lambda: _complete(
            generate(workspace, model, section.settings, console=console, force=force), "responses"
        )

    return [answers(model) for model in names]


def _complete(result: Result, what: str) -> Result:
    if result.ending == "waiting":
        raise UserError(
            "batches are under way at the provider: the same command goes on once they are back, or waits for them "
            "with `wait: true`"
        )
    if result.ending != "complete":
        raise UserError(f"stopped before all {what} were there: the same command goes on from here")
    return result


def summary(result: RecipeResult) -> str:
    """What a run of a recipe came to, in words."""
    from efficient_empathy.evaluation.record import EvaluationRecord
    from efficient_empathy.evaluation.robustness.records import TuningRecord
    from efficient_empathy.modelling.moe.record import MixResult
    from efficient_empathy.synthesis.proof.record import ProofResult, proof_text
    from efficient_empathy.synthesis.rounds import RoundResult, round_text

    workspace, lines = Workspace(result.run), []
    for stage in result.stages.values():
        if isinstance(stage, ScoreResult):
            lines.append(f"{stage.states['ok']:,} of {stage.samples:,} samples scored.")
            lines += [f"Warning: {warning}." for warning in stage.warnings]
        elif isinstance(stage, SelectResult):
            total = max(1, sum(stage.subsets.values()) + stage.unscored)
            parts = [f"{name} {count:,} ({count / total:.1%})" for name, count in stage.subsets.items()]
            lines.append(f"Policy {stage.policy}: {', '.join(parts)}")
        elif isinstance(stage, RoundResult):
            lines.append(round_text(stage))
        elif isinstance(stage, ProofResult):
            lines.append(proof_text(stage))
        elif isinstance(stage, TuningRecord):
            lines.append(stage.text)
        elif isinstance(stage, MixResult):
            from efficient_empathy.modelling.moe import summary as mix_summary

            lines.append(mix_summary(stage, workspace.root))
        elif isinstance(stage, EvaluationRecord):
            from efficient_empathy.evaluation import summary as evaluation_summary

            lines.append(evaluation_summary(stage))
    return "\n".join([*lines, f"Report: {workspace.report}"])
