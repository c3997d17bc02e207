"""What a run's data, scores and selection look like: groups, filtering, correlations, drift, cost, findings."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.analytics.formatting import summary
    from efficient_empathy.analytics.settings import AnalyticsSettings
    from efficient_empathy.analytics.stage import analytics, measure

__all__ = ["AnalyticsSettings", "analytics", "measure", "summary"]

__getattr__ = exports(
    __name__,
    {
        "AnalyticsSettings": "settings",
        "analytics": "stage",
        "measure": "stage",
        "summary": "formatting",
    },
)
