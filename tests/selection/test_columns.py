from __future__ import annotations

from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.scores import scores_schema
from efficient_empathy.selection.columns import axes_of


def test_the_axes_are_found_among_all_that_scoring_writes():
    rubric = Rubric.load()
    for panel in (Panel(("a",)), Panel(("a", "b")), Panel(("a", "b"), "median")):
        for distributions in (False, True):
            columns = scores_schema(rubric, panel, distributions=distributions)
            assert tuple(axes_of(columns)) == rubric.axis_names
