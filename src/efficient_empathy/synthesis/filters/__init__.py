"""Filters of synthetic samples: each says of a candidate whether it stays, why not, and by which figure."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.synthesis.filters.contract import Embed, Filter, FilterContext, Verdict
    from efficient_empathy.synthesis.filters.registry import FILTERS, build_filters
    from efficient_empathy.synthesis.filters.run import Filtered, FilterStep, run_filters
    from efficient_empathy.synthesis.filters.settings import FilterSettings

__all__ = [
    "FILTERS",
    "Embed",
    "Filter",
    "FilterContext",
    "FilterSettings",
    "FilterStep",
    "Filtered",
    "Verdict",
    "build_filters",
    "run_filters",
]

__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(("Embed", "Filter", "FilterContext", "Verdict"), "contract"),
        **dict.fromkeys(("FILTERS", "build_filters"), "registry"),
        **dict.fromkeys(("Filtered", "FilterStep", "run_filters"), "run"),
        "FilterSettings": "settings",
    },
)
