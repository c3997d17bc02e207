import json

import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.ratings import Design, make_sheets
from efficient_empathy.evaluation.ratings.record import Key
from rated_runs import asking, responded_run


@pytest.fixture
def handed_out(tmp_path):
    """Makes a run and its sheets; returns the run, the sheets' folder and the key."""

    def make(
        models=("moe", "base", "average"), kind="csv", samples=6, run=None, raters=("ann", "bo"), study="main",
        questions="paper", tasks=("likert", "ab"), **design,
    ):  # fmt: skip
        workspace = run or responded_run(tmp_path / "run")
        folder = tmp_path / ("sheets" if study == "main" else f"{study}-sheets")
        plan = Design(raters, asking(tasks, questions), **design)
        made = make_sheets(workspace, models, plan, folder, study=study, samples=samples, format=kind)
        json.loads(made.model_dump_json())
        return workspace, folder, Key.read(workspace.ratings / study / "key.json")

    return make
