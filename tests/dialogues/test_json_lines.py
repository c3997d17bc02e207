from __future__ import annotations

import polars as pl

from efficient_empathy.dialogues import uniform


def test_missing_text_is_empty_and_nothing_else_changes() -> None:
    frame = pl.DataFrame(
        {"category": ["sad", None], "empty": pl.Series([None, None], dtype=pl.String), "value": [None, 1.5]}
    )
    expected = [{"category": "sad", "empty": "", "value": None}, {"category": "", "empty": "", "value": 1.5}]
    assert uniform(frame).to_dicts() == uniform(frame.lazy()).collect().to_dicts() == expected
