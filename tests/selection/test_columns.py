from __future__ import annotations

from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.scores import scores_schema
from efficient_empathy.selection.columns import axes_of


def test_the_axes_are_found_among_all_that_scoring_writes():
    rubric = Rubric.load()
    for distributions in (False, True):
        assert tuple(axes_of(scores_schema(rubric, distributions=distributions))) == rubric.axis_names
