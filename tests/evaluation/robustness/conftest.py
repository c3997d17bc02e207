import io

import numpy as np
import pytest
from rich.console import Console

from scored_runs import write_run
from swept_runs import WARM, WARM_SCALES, dialogue_samples, warm_scores, whole_scores


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


@pytest.fixture
def warm_run(tmp_path):
    """A run that was scored on three axes with scales of their own."""
    samples = dialogue_samples(60)
    return write_run(tmp_path / "warm", samples, warm_scores(len(samples)), scales=WARM_SCALES)


@pytest.fixture
def warm_policy(tmp_path):
    """A policy of the three axes and a fact, in a YAML file; its three thresholds have names of their own."""
    path = tmp_path / "warm.yaml"
    path.write_text(WARM)
    return str(path)


@pytest.fixture
def lone_run(tmp_path):
    """A run with one axis."""
    samples = dialogue_samples(60)
    scores = {"helpfulness": [i * 7 % 6 for i in range(len(samples))]}
    return write_run(tmp_path / "lone", samples, scores, scales={"helpfulness": (0, 5)})


@pytest.fixture
def lone_policy(tmp_path):
    """A policy with one threshold."""
    path = tmp_path / "lone.yaml"
    path.write_text("name: lone\nthresholds: {bar: 3}\nrules: [{helpful: helpfulness >= bar}]\notherwise: useless\n")
    return str(path)
