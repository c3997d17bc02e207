from pathlib import Path

import pytest

from efficient_empathy.evaluation.classifiers.categories import read_emotion
from efficient_empathy.foundation.errors import UserError
from rated_responses import dialogue_rows, jsonl


def test_openings_and_responses_are_texts_of_their_own(tmp_path: Path) -> None:
    data = read_emotion(jsonl(tmp_path / "talk.jsonl", dialogue_rows(30)), folds=5)
    assert data.dimensions[0].labels == ("afraid", "joyful", "sad")
    assert len(data.pairs) == 60
    assert all(context == () for context, _ in data.pairs)
    assert data.parts["openings"].sum() == data.parts["responses"].sum() == 30
    assert len(set(data.groups)) == 30


def test_much_data_is_drawn_by_dialogue(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "talk.jsonl", dialogue_rows(60))
    data = read_emotion(path, folds=2, most=51)
    assert len(data.pairs) == 50
    assert len(set(data.groups)) == 25
    assert data.left_out == {"drawn out": 70}
    assert read_emotion(path, folds=2, most=51).pairs == data.pairs


def test_categories_that_cannot_be_learnt(tmp_path: Path) -> None:
    rows = dialogue_rows(30)
    with pytest.raises(
        UserError, match="20 folds by dialogue need 20 dialogues of each category or more; 'afraid' has 10"
    ):
        read_emotion(jsonl(tmp_path / "a.jsonl", rows), folds=20)
    with pytest.raises(UserError, match="has no category"):
        read_emotion(jsonl(tmp_path / "b.jsonl", [row | {"category": None} for row in rows]), folds=2)
    with pytest.raises(UserError, match="one category alone, 'sad'"):
        read_emotion(jsonl(tmp_path / "c.jsonl", [row | {"category": "sad"} for row in rows]), folds=2)
    some = [row | {"category": None if i < 3 else row["category"]} for i, row in enumerate(rows)]
    assert read_emotion(jsonl(tmp_path / "d.jsonl", some), folds=2).left_out == {"no category": 3}
