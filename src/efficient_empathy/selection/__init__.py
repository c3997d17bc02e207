"""From scores to subsets: which samples are kept, why, and the data sets that training reads."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.selection.settings import SelectSettings
    from efficient_empathy.selection.stage import active_selector, select, summary

__all__ = ["SelectSettings", "active_selector", "select", "summary"]

__getattr__ = exports(
    __name__,
    {"SelectSettings": "settings", "active_selector": "stage", "select": "stage", "summary": "stage"},
)
