"""From subsets to experts: data, TRL's trainer, held-out losses, cards. Heavy modules are imported when it runs."""

from efficient_empathy.modelling.training.base import bundled_base
from efficient_empathy.modelling.training.settings import LoraSettings, TrainingSettings, load_settings
from efficient_empathy.modelling.training.stage import read_record, summary, train

__all__ = ["LoraSettings", "TrainingSettings", "bundled_base", "load_settings", "read_record", "summary", "train"]
