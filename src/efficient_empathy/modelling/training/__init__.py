"""From subsets to experts: data, TRL's trainer, held-out losses, cards. Heavy modules are imported when it runs."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.modelling.training.models import bundled_base
    from efficient_empathy.modelling.training.record import TrainingRecord, read_training
    from efficient_empathy.modelling.training.settings import LoraSettings, TrainingSettings, load_settings
    from efficient_empathy.modelling.training.stage import help_train, summary, train

__all__ = [
    "LoraSettings",
    "TrainingRecord",
    "TrainingSettings",
    "bundled_base",
    "help_train",
    "load_settings",
    "read_training",
    "summary",
    "train",
]

__getattr__ = exports(
    __name__,
    {
        "bundled_base": "models",
        "LoraSettings": "settings",
        "TrainingSettings": "settings",
        "load_settings": "settings",
        "TrainingRecord": "record",
        "read_training": "record",
        "help_train": "stage",
        "summary": "stage",
        "train": "stage",
    },
)
