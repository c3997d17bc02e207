from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import BadRowError, Intake, open_source, read_evaluations


def test_replies_stand_beside_their_samples(write: Callable[..., Path]) -> None:
    rows = [
        {"context": "a", "response": "b", "evaluation": " - Rationality: 5\n"},
        {"context": "c", "response": "d", "evaluation": ""},
    ]
    path = write("a.jsonl", rows)
    found = list(read_evaluations(path))
    assert [reply for _, reply in found] == [" - Rationality: 5\n", ""]
    assert [sample for sample, _ in found] == list(open_source(path))


def test_a_row_without_a_reply_is_a_bad_row(write: Callable[..., Path]) -> None:
    rows = [
        {"context": "a", "response": "b"},
        {"context": "a", "response": "b", "evaluation": 5},
        {"response": "b", "evaluation": "x"},
    ]
    path = write("a.jsonl", rows)
    with pytest.raises(BadRowError, match="'evaluation' is missing"):
        list(read_evaluations(path))
    intake = Intake("skip")
    assert list(read_evaluations(path, intake=intake)) == []
    assert [bad.reason for bad in intake.bad_rows] == [
        "'evaluation' is missing",
        "'evaluation' is '5', not text",
        "'context' is missing",
    ]
