"""The bundled judge, loaded once; a judge whose reference is of our own text."""

import numpy as np
import pytest

from efficient_empathy.dialogues import open_source
from efficient_empathy.labelling.distillation.reference import write_reference
from efficient_empathy.labelling.prediction import Predictor
from efficient_empathy.recipe import DIALOGUES
from strange_conversations import bare_folder


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope="session")
def own(tmp_path_factory, predictor):
    """A judge whose reference was measured on half of our held-out dialogues; the other half, and their features."""
    folder = bare_folder(tmp_path_factory.mktemp("own") / "judge")
    learnt = [*open_source(DIALOGUES / "valid.jsonl")]
    write_reference(predictor.judge, folder, learnt, predictor.judge.probabilities(learnt))
    judge, samples = Predictor(folder), [*open_source(DIALOGUES / "test.jsonl")]
    return judge, samples, judge(samples).values


@pytest.fixture
def rng():
    return np.random.default_rng(0)
