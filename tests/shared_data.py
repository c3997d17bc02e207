"""Where the real data lies, for the tests that read it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("EMPATHY_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")

needs_shared_data = pytest.mark.skipif(
    not (FOLDER / "README.md").exists(),
    reason=f"the real data is not at {FOLDER}: set EMPATHY_SHARED_DATA to its folder",
)
