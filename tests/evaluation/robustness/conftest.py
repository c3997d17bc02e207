import io

import numpy as np
import pytest
from rich.console import Console

from scored_runs import write_run
from swept_runs import dialogue_samples, whole_scores


@pytest.fixture(scope="session")
def quiet():
    return Console(file=io.StringIO())


@pytest.fixture
def run(tmp_path):
    """A scored run of 240 samples in 120 dialogues and 4 categories, with whole scores; three rows have none."""
    samples = dialogue_samples(120)
    states = ["ok"] * len(samples)
    states[5], states[50], states[200] = "parse_error", "refused", "api_error"
    scores = whole_scores(len(samples))
    hidden = {axis: [v if s == "ok" else None for v, s in zip(values, states, strict=True)]
              for axis, values in scores.items()}  # fmt: skip
    return write_run(tmp_path / "run", samples, hidden, states=states)


@pytest.fixture
def judged_run(tmp_path):
    """The same with a judge that gives distributions, so that probabilities decide."""
    samples = dialogue_samples(120)
    rng = np.random.default_rng(3)
    tables = {axis: rng.dirichlet(np.ones(11), len(samples)) for axis in ("sensibility", "rationality")}
    expected = {axis: (table @ np.arange(11)).tolist() for axis, table in tables.items()}
    return write_run(tmp_path / "judged", samples, expected, probabilities=tables)
