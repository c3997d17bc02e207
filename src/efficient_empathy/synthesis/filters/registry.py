"""The filters there are: those of the package, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable

from efficient_empathy.foundation.plugins import Plugins
from efficient_empathy.synthesis.filters.contract import Filter, FilterContext
from efficient_empathy.synthesis.filters.settings import BUNDLED, FilterSettings

ENTRY_POINTS = "efficient_empathy.synthesis_filters"
"""The group under which an installed package names its filters: classes, or functions, that make one from
`FilterSettings` and `FilterContext`."""
FILTERS: Plugins[Callable[[FilterSettings, FilterContext], Filter]] = Plugins("filter", ENTRY_POINTS, BUNDLED)


def build_filters(settings: FilterSettings, context: FilterContext) -> list[Filter]:
    """The filters that the settings name, in their order. Raises `UserError` for a name that is none."""
    for name in settings.filters:
        FILTERS.require(name)
    return [FILTERS.load(name)(settings, context) for name in dict.fromkeys(settings.filters)]
