"""What the page shows of a study's results: the figures and the tables of the report, as markup and as numbers."""

from __future__ import annotations

from typing import Any

from efficient_empathy.evaluation.ratings.figures import forest_plots, win_matrices
from efficient_empathy.evaluation.ratings.record import RatingsRecord


def shown_results(record: RatingsRecord) -> dict[str, Any]:
    """The figures of a study's results, the table of its raters, and what was wrong."""
    return {
        "samples": record.samples,
        "confidence": record.confidence,
        "figures": [{"title": title, "svg": str(svg)} for title, svg in (*forest_plots(record), *win_matrices(record))],
        "raters": [one.model_dump(mode="json") for one in record.raters],
        "problems": list(record.problems),
    }
