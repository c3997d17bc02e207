"""What a run offers to mix: its experts, the base and the union model beside them, and how they were trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.checkpoint import read_json
from efficient_empathy.modelling.training.base import BUNDLED_NAME, resolve
from efficient_empathy.modelling.training.examples import DROPPED, GROUPS
from efficient_empathy.modelling.training.settings import TrainingSettings

_MUST_AGREE = ("template", "held_out", "hold_back", "seed", "max_length")
"""What experts must have been trained alike in: else one has seen what is held out for another."""
_TAKEN = {"base", "average", "moe", "moe_untrained"}


@dataclass(frozen=True)
class Expert:
    """A trained model of the run."""

    name: str
    path: Path
    training: dict[str, Any]

    @property
    def subset(self) -> str:
        """The subset that it was trained on."""
        return str(self.training["subset"])

    @property
    def label(self) -> str:
        """What it is called in a table."""
        return "One adapter on the union" if self.subset == "union" else f"{self.name.capitalize()} expert"


def trained(workspace: Workspace) -> list[Expert]:
    """The run's trained models, by name. Raises `UserError` for a training.json that is none."""
    found = []
    for card in sorted(workspace.experts.glob("*/training.json")):
        training = read_json(card)
        if missing := [key for key in ("subset", "base", "settings") if key not in training]:
            raise UserError(f"{card} does not say {missing[0]}: train {card.parent.name} again")
        found.append(Expert(card.parent.name, card.parent, training))
    return found


def chosen(workspace: Workspace, names: Sequence[str] | None) -> list[Expert]:
    """The experts to mix: those named, else every one that was trained on a subset of its own.

    Raises `UserError` for a name that there is not, and for fewer than two.
    """
    known = {expert.name: expert for expert in trained(workspace)}
    if missing := [name for name in names or () if name not in known]:
        has = f"the run has {', '.join(known)}" if known else "the run has none"
        raise UserError(f"there is no expert {missing[0]!r} in {workspace.experts} ({has}): train it first")
    experts = [known[name] for name in names] if names else [
        expert for expert in known.values() if expert.subset not in (*GROUPS, *DROPPED)
    ]  # fmt: skip
    if taken := [expert.name for expert in experts if expert.name in _TAKEN]:
        raise UserError(
            f"an expert to be mixed cannot be called {taken[0]}, which the comparison needs: train it with --name"
        )
    if len(experts) < 2:
        has = f"there is only {experts[0].name}" if experts else "there is none"
        raise UserError(
            f"mixing takes two or more experts, and {has} in {workspace.experts}: "
            f"run `efficient-empathy train --run {workspace.root} --subset …` for each subset first"
        )
    return experts


def agreed(experts: Sequence[Expert], training: TrainingSettings | None = None) -> TrainingSettings:
    """The settings that the experts were trained with, or `training` but for what decides which sample is held out.

    Raises `UserError` where the experts differ in that.
    """
    first = experts[0]
    for other in experts[1:]:
        for key in _MUST_AGREE:
            mine, theirs = first.training["settings"].get(key), other.training["settings"].get(key)
            if mine != theirs:
                raise UserError(
                    f"{first.name} was trained with {key} {mine}, {other.name} with {theirs}: "
                    "what is held out for one was seen by the other; train one of them again"
                )
    known = {key: value for key, value in first.training["settings"].items() if key in TrainingSettings.model_fields}
    settings = TrainingSettings.model_validate(known)
    return training.model_copy(update={key: getattr(settings, key) for key in _MUST_AGREE}) if training else settings


def base_of(experts: Sequence[Expert]) -> Path | str:
    """The base that the experts were trained from. Raises `UserError` where it is not there any more."""
    name = str(experts[0].training["base"])
    return resolve(None if name == BUNDLED_NAME else name)


def union_model(workspace: Workspace) -> Expert | None:
    """The model that was trained on all kept subsets together, None where there is none."""
    return next((expert for expert in trained(workspace) if expert.subset == "union"), None)
