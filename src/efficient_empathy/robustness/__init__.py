"""Whether the thresholds were luck: sweeps over them, and thresholds chosen for a target."""

from typing import TYPE_CHECKING

from efficient_empathy.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.robustness.settings import SweepSettings, TuneSettings
    from efficient_empathy.robustness.sweeping import sweep
    from efficient_empathy.robustness.tuning import tune

__all__ = ["SweepSettings", "TuneSettings", "sweep", "tune"]

__getattr__ = exports(
    __name__,
    {
        "SweepSettings": "settings",
        "TuneSettings": "settings",
        "sweep": "sweeping",
        "tune": "tuning",
    },
)
