import json

import pytest

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.evaluation.ratings import Design, make_sheets
from efficient_empathy.evaluation.ratings.record import Key
from rated_runs import responded_run


@pytest.fixture
def handed_out(tmp_path):
    """Makes a run and its sheets; returns the run, the sheets' folder and the key."""

    def make(models=("moe", "base", "average"), kind="csv", samples=6, run=None, raters=("ann", "bo"), **design):
        workspace = run or responded_run(tmp_path / "run")
        folder = tmp_path / "sheets"
        made = make_sheets(workspace, models, Design(raters, **design), folder, samples=samples, format=kind)
        json.loads(made.model_dump_json())
        return workspace, folder, Key.read(workspace.ratings / "key.json")

    return make
