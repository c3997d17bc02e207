"""Whether the thresholds were luck: sweeps over them, and thresholds chosen for a target."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.robustness.settings import SweepSettings, TuneSettings
    from efficient_empathy.evaluation.robustness.sweep_stage import sweep
    from efficient_empathy.evaluation.robustness.tune_stage import tune

__all__ = ["SweepSettings", "TuneSettings", "sweep", "tune"]

__getattr__ = exports(
    __name__,
    {
        "SweepSettings": "settings",
        "TuneSettings": "settings",
        "sweep": "sweep_stage",
        "tune": "tune_stage",
    },
)
