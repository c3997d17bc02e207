"""Keep the libraries below from writing over the progress that a user is shown."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOUD = ("accelerate", "datasets", "peft", "torch.distributed", "torch.distributed.run", "transformers", "trl")


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, progress bars or log lines below an error from transformers, datasets, accelerate, PEFT and TRL."""
    import datasets
    import transformers

    transformers_logging: Any = transformers.utils.logging
    bars = transformers_logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars[0]:
            transformers_logging.enable_progress_bar()
        if not bars[1]:
            datasets.enable_progress_bars()
