from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analytics_runs import planted_run
from efficient_empathy.foundation.run.workspace import Workspace


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Workspace]:
    """Makes planted runs, each in a folder of its own."""

    def make(name: str = "run", **options: object) -> Workspace:
        return planted_run(Path(tmp_path, name), **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
