"""The search for a text in the samples of a run, a step at a time."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.studio.pages.samples.index import SampleIndex, Texts


class Search:
    """Which of a run's samples have a text: found step by step in the order of the file, whatever the other filters."""

    def __init__(self, index: SampleIndex, text: str) -> None:
        self._texts, self._text = Texts(index.workspace), text
        self._hits = np.zeros(len(index.frame), np.bool_)
        self._lock = threading.Lock()
        self.searched = 0
        """Rows that have been looked at."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will be found."""
        return self.searched == len(self._hits)

    def go_on(self, seconds: float) -> None:
        """Go on searching for so long, or to the end."""
        until = time.monotonic() + seconds
        with self._lock:
            while not self.ended:
                hits = self._texts.matches(self.searched, self._text)
                self._hits[self.searched : self.searched + len(hits)] = hits
                self.searched += len(hits)
                if time.monotonic() >= until:
                    return

    @property
    def hits(self) -> pl.Series:
        """Whether each row has it, as far as is known."""
        return pl.Series(self._hits.copy())

    def progress(self) -> dict[str, Any]:
        """How far it is: `searched` of `of` rows; `ended`."""
        return {"searched": self.searched, "of": len(self._hits), "ended": self.ended}
