"""A study's results as pictures, the same in the report and in the studio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from efficient_empathy.evaluation.ratings.record import RatedDimension, RatingsRecord
from efficient_empathy.foundation.figures.charts import Dot
from efficient_empathy.foundation.figures.rated import Wins, forest, win_matrix


def forest_plots(record: RatingsRecord, titles: Mapping[str, str] | None = None) -> Iterator[tuple[str, Markup]]:
    """Title and figure of the mean ratings, one for all questions of a scale; `titles` are what models are called."""
    scales = dict.fromkeys(one.scale for one in record.likert.values())
    for scale in scales:
        groups = {
            question: dots
            for question, one in record.likert.items()
            if one.scale == scale and (dots := _dots(one, titles or {}))
        }
        if groups:
            title = f"Mean ratings from {scale[0]} to {scale[1]}"
            yield title, forest(title, groups, scale)


def _dots(one: RatedDimension, titles: Mapping[str, str]) -> list[Dot]:
    return [
        Dot(titles.get(model.name, model.name), model.mean, model.interval)
        for model in one.models
        if model.mean is not None
    ]


def win_matrices(record: RatingsRecord, titles: Mapping[str, str] | None = None) -> Iterator[tuple[str, Markup]]:
    """Title and figure of the comparisons, one a question; `titles` are what models are called."""
    titles = titles or {}
    for question in dict.fromkeys(one.question for one in record.ab):
        contests = [one for one in record.ab if one.question == question and one.share is not None]
        wins: dict[tuple[str, str], Wins] = {}
        for one in contests:
            a, b = titles.get(one.a, one.a), titles.get(one.b, one.b)
            wins[a, b] = Wins(one.share or 0.0, one.interval, one.win + one.tie + one.lose)
            wins[b, a] = wins[a, b].turned
        if wins:
            title = f"How often the row is preferred to the column: {question}"
            yield title, win_matrix(title, list(dict.fromkeys(name for pair in wins for name in pair)), wins)
