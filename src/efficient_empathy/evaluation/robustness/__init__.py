"""Whether the thresholds were luck: sweeps over them, and thresholds chosen for a target."""

from efficient_empathy.evaluation.robustness.settings import SweepSettings, TuneSettings
from efficient_empathy.evaluation.robustness.sweeping import sweep
from efficient_empathy.evaluation.robustness.tuning import tune

__all__ = ["SweepSettings", "TuneSettings", "sweep", "tune"]
