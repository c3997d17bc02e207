"""What a half-filled form of a study lacks, in the form's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from efficient_empathy.studio.pages.rate.lacking import read_setup
from rated_runs import responded_run
from studio_raters import Asking
from studio_server import serving

WHOLE: dict[str, Any] = {"name": "main", "models": ["moe", "base"], "raters": ["ann"]}
RATING = {"name": "warmth", "text": "How warm is it?"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"samples": 0}, "Samples at most: it must be greater than or equal to 1."),
        ({"days": None}, "The days that links work: it must be a valid number."),
        ({"questionnaire": {}}, "What raters are asked: it asks nothing: give ratings, comparisons or both."),
        ({"questionnaire": {"ratings": [RATING, {**RATING, "name": "2"}]}}, "Rating 2, its short name: it cannot be"),
        ({"questionnaire": {"comparisons": [{"name": "kinder", "text": ""}]}}, "Comparison 1, its words: "),
        ({"questionnaire": {"ratings": [{**RATING, "scale": [None, 5]}]}}, "Rating 1, its scale: "),
        ({"colour": "red"}, "colour: "),
    ],
)
def test_a_field_is_called_as_the_form_calls_it(change: dict[str, Any], sentence: str) -> None:
    missing = read_setup(json.dumps({**WHOLE, **change}).encode())
    assert isinstance(missing, str)
    assert missing.startswith(sentence)
    assert missing.endswith(".")


def test_the_preview_of_what_cannot_be_drawn_says_why_and_is_no_error(tmp_path) -> None:
    assert not isinstance(read_setup(json.dumps(WHOLE).encode()), str)
    run = responded_run(tmp_path / "run", dialogues=4)
    with serving([run.root], tmp_path) as served:
        owner = Asking(served.url)
        for change, words in (
            ({"models": []}, "model"),
            ({"raters": ["ann", "ann"]}, "ann"),
            ({"samples": 0}, "Samples"),
        ):
            assert words in owner.told("/api/rate/preview", {**WHOLE, **change})["missing"]
        assert owner.told("/api/rate/preview", WHOLE)["tasks"]
