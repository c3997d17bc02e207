"""The steps that can be started from a page: each is one command, made of what a form says and of nothing else.

Every value is written as `--flag=value`, so that none can be taken for another flag; the command itself checks it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, RootModel

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.settings import load
from efficient_empathy.modelling.training.examples import assign_parts, size_of, training_rows
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.studio.server.bodies import Body, FolderName
from efficient_empathy.studio.server.jobs import flags, shown_path
from efficient_empathy.studio.server.judging import JUDGES
from efficient_empathy.studio.server.selections import OWN, choice_of

Name = Annotated[str, Field(min_length=1, max_length=200)]
_TRAINING = ("torch", "transformers", "peft", "trl")


class SelectStep(Body):
    """Write the subsets that a policy makes: the choice as the page of thresholds has it in its address."""

    step: Literal["select"]
    choice: dict[str, str] = Field(default_factory=dict)
    """As of `selections.choice_of`."""

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags. A policy that has no name here is written to a file in `folder`."""
        chosen = choice_of(table, self.choice)
        name = chosen.policy.name
        if (self.choice.get("policy") or "").startswith(OWN):
            folder.mkdir(0o700, parents=True, exist_ok=True)
            with atomic(folder / "policy.yaml") as path:
                definition = yaml.safe_dump(chosen.policy.definition(), sort_keys=False, allow_unicode=True)
                path.write_text(definition, "utf-8")
            name = str(folder / "policy.yaml")
        decide = None if chosen.decide == "auto" else chosen.decide
        thresholds = [f"{key}={value}" for key, value in chosen.policy.thresholds.items()]
        return flags({
            "--policy": name, "--threshold": thresholds, "--decide": decide,
            "--synthetic-share": chosen.synthetic_share, "--seed": chosen.seed or None,
        })  # fmt: skip


class TrainStep(Body):
    """Train a model on one subset."""

    step: Literal["train"]
    subset: Name
    base: Annotated[str, Field(max_length=500)] = ""
    epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    max_samples: int | None = None

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags."""
        return flags({
            "--subset": self.subset, "--base": self.base, "--epochs": self.epochs,
            "--learning-rate": self.learning_rate, "--batch-size": self.batch_size, "--max-samples": self.max_samples,
        })  # fmt: skip

    def refusal(self, table: RunTable) -> str:
        """Why training would not begin, in the words of the form; empty where nothing speaks against it."""
        wanted = {"batch_size": self.batch_size, "max_samples": self.max_samples, "epochs": self.epochs,
                  "learning_rate": self.learning_rate}  # fmt: skip
        given = {name: (f"--{name.replace('_', '-')}", value) for name, value in wanted.items() if value is not None}
        try:
            settings = load(TrainingSettings, None, "the training", flags=given)
            frame = assign_parts(table, settings, texts=False)
            training_rows(frame, self.subset, settings, size_of(table, frame, self.subset, None))
        except UserError as error:
            return f"{error}".replace("--batch-size", "“Samples a batch”")
        return ""


class MixStep(Body):
    """Mix the run's experts."""

    step: Literal["mix"]
    experts: tuple[Name, ...] = ()
    batch_size: int | None = None
    max_samples: int | None = None
    ties: bool = False

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags."""
        return flags({
            "--expert": self.experts, "--batch-size": self.batch_size, "--max-samples": self.max_samples,
            "--ties": self.ties,
        })  # fmt: skip


class GenerateStep(Body):
    """Let one model of the run respond to samples that no expert has seen."""

    step: Literal["generate"]
    model: Name
    samples: int | None = None
    max_new_tokens: int | None = None

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags."""
        return flags({"--model": self.model, "--samples": self.samples, "--max-new-tokens": self.max_new_tokens})


class EvaluateStep(Body):
    """Put numbers to the responses of all models."""

    step: Literal["evaluate"]
    metrics: Annotated[str, Field(max_length=200)] = ""

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags."""
        return flags({"--metrics": self.metrics})


class DistillStep(Body):
    """Make a judge of one's own from the run's judgements and from what people have corrected."""

    step: Literal["distill"]
    name: FolderName = "mine"
    """Of its folder, in `judges/` of the run."""
    base: Annotated[str, Field(max_length=500)] = ""
    corrections: bool = False
    correction_weight: float | None = None
    epochs: int | None = None

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags."""
        return flags({
            "--output": f"{shown_path(table.workspace.root)}/{JUDGES}/{self.name}", "--name": self.name,
            "--base": self.base, "--corrections": self.corrections,
            "--correction-weight": self.correction_weight if self.corrections else None, "--epochs": self.epochs,
        })  # fmt: skip


class PlainStep(Body):
    """A step without choices."""

    step: Literal["report", "analytics"]

    def words(self, table: RunTable, folder: Path) -> list[str]:
        """The command's flags."""
        return []


Step = SelectStep | TrainStep | MixStep | GenerateStep | EvaluateStep | DistillStep | PlainStep


class StepBody(RootModel[Annotated[Step, Field(discriminator="step")]]):
    """What starts a step."""

    def refusal(self, table: RunTable) -> str:
        """What is known already to stand in the step's way; empty where nothing is."""
        return self.root.refusal(table) if isinstance(self.root, TrainStep) else ""

    def command(self, table: RunTable, run: str, folder: Path) -> list[str]:
        """The words of the command for a run's folder as a user would type it; `folder` is for files that it needs."""
        return [self.root.step, f"--run={run}", *self.root.words(table, folder)]


def can_train() -> bool:
    """Whether the extra `train` is installed, which train, mix and generate need."""
    return all(find_spec(module) is not None for module in _TRAINING)
