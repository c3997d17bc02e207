from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.training.record import TemplateRecord
from efficient_empathy.modelling.training.settings import TrainingSettings
from tiny_models import tiny_model
from trained_runs import training_record

QUESTIONS = [
    "I failed the exam again.",
    "My sister is having a baby!",
    "I lost my keys and my whole day went wrong. " * 3,
    "Hm.",
    "I am afraid to tell my parents, and I do not know what would help me right now, to be honest with you.",
]


@pytest.fixture(scope="session")
def prompts() -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in QUESTIONS]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "llama", scale=3.0)


def contexts(n: int, split: str = "test") -> list[Sample]:
    """Samples of different lengths, one a dialogue."""
    return [
        Sample.of([Utterance("speaker", f"{QUESTIONS[i % 5]} {i}")], "Oh.", dialogue_id=f"{split} {i}", split=split)
        for i in range(n)
    ]


@pytest.fixture
def run(tmp_path: Path, tiny: Path) -> Callable[..., Workspace]:
    """Makes a run of `n` test samples and as many for training, with the tiny model as its expert `sensibility`."""

    def make(n: int = 12, template: str = "chat", **training: Any) -> Workspace:
        workspace = Workspace(tmp_path / "run").create()
        write_samples(iter([*contexts(n), *contexts(n, "train")]), workspace.samples)
        workspace.experts.mkdir(exist_ok=True)
        expert = workspace.experts / "sensibility"
        if not expert.exists():
            expert.mkdir()
            for file in tiny.iterdir():
                shutil.copyfile(file, expert / file.name)
        record = training_record(
            base=str(tiny),
            template=TemplateRecord.of(PromptTemplate.load(template)),
            settings=TrainingSettings(**training),
        )
        record.write(expert / "training.json")
        return workspace

    return make
