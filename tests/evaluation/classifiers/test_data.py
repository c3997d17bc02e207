import csv
import json
from pathlib import Path

import pytest

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.classifiers.data import read_emotion, read_epitome
from efficient_empathy.evaluation.classifiers.kinds import DIMENSIONS, FitSettings
from efficient_empathy.foundation.errors import UserError
from rated_responses import dialogue_rows, epitome_rows, jsonl


def test_json_lines_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    rows = epitome_rows(12)
    with (tmp_path / "rated.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    one, other = read_epitome(jsonl(tmp_path / "rated.jsonl", rows)), read_epitome(tmp_path / "rated.csv")
    assert one.pairs == other.pairs
    assert one.counts() == other.counts()
    assert one.dimensions[0].values.tolist() == [row["emotional_reactions"] for row in rows]
    assert one.pairs[0] == ((rows[0]["seeker_post"],), rows[0]["response_post"])


def test_other_column_names_and_contexts_of_several_turns(tmp_path: Path) -> None:
    rows = [
        {"turns": context, "reply": row["response_post"], "er": row["emotional_reactions"], **row}
        for row, context in zip(
            epitome_rows(9),
            ["hi </s> hello </s> i am sad", json.dumps(["hi", "hello", "i am sad"]), ["hi", "hello", "i am sad"]] * 3,
            strict=True,
        )
    ]
    for row in rows:
        del row["seeker_post"], row["response_post"], row["emotional_reactions"]
    columns = {"context": "turns", "response": "reply", "emotional_reactions": "er"}
    data = read_epitome(jsonl(tmp_path / "rated.jsonl", rows), reading=ReadingSettings(columns=columns))
    assert {context for context, _ in data.pairs} == {("hi", "hello", "i am sad")}
    assert len(set(data.groups)) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"interpretations": 3}, "rated.jsonl:2: 'interpretations' is '3': a level is 0, 1 or 2"),
        ({"interpretations": "strong"}, "a level is 0, 1 or 2"),
        ({"interpretations": True}, "a level is 0, 1 or 2"),
        ({"interpretations": None}, "'interpretations' is null"),
        ({"response_post": " "}, "the response is empty"),
        ({"seeker_post": None}, "no context (seeker_post or"),
        ({"seeker_post": 5}, "'seeker_post' is '5', not text"),
        ({"seeker_post": ""}, "the context is empty"),
        ({"seeker_post": [1]}, "a turn without text"),
    ],
)
def test_a_bad_row_is_named_or_counted(tmp_path: Path, change: dict[str, object], told: str) -> None:
    rows = epitome_rows(12)
    rows[1] |= change
    path = jsonl(tmp_path / "rated.jsonl", rows)
    with pytest.raises(UserError) as raised:
        read_epitome(path)
    assert told in str(raised.value)
    assert "rated.jsonl:2" in str(raised.value)
    rows.append(epitome_rows(2)[1])
    data = read_epitome(jsonl(path, rows), reading=ReadingSettings(on_bad_row="skip"))
    assert len(data.pairs) == 12
    assert data.left_out == {"bad rows": 1}


def test_a_level_that_no_row_has_is_told(tmp_path: Path) -> None:
    rows = [row | {"explorations": min(row["explorations"], 1)} for row in epitome_rows(12)]
    with pytest.raises(UserError, match="no row has explorations 2"):
        read_epitome(jsonl(tmp_path / "rated.jsonl", rows))


def test_a_column_that_is_not_there_or_not_read(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rated.jsonl", epitome_rows(12))
    with pytest.raises(UserError, match="no column 'answer': there are 'sp_id'"):
        read_epitome(path, reading=ReadingSettings(columns={"response": "answer"}))
    with pytest.raises(UserError, match="names no column that is read: there are context, response, emotional"):
        read_epitome(path, reading=ReadingSettings(columns={"reply": "response_post"}))
    with pytest.raises(UserError, match="is not found"):
        read_epitome(tmp_path / "nothing.csv")


def released(folder: Path, rows: list[dict[str, object]]) -> Path:
    """A folder as EPITOME was released: one CSV for each dimension, with the column `level`."""
    folder.mkdir()
    for name in DIMENSIONS:
        with (folder / f"{name.replace('_', '-')}-reddit.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["sp_id", "seeker_post", "response_post", "level"])
            writer.writerows([row["sp_id"], row["seeker_post"], row["response_post"], row[name]] for row in rows)
    return folder


def test_a_folder_with_one_file_for_each_dimension_is_joined(tmp_path: Path) -> None:
    rows = list({(row["seeker_post"], row["response_post"]): row for row in epitome_rows(30)}.values())
    one = read_epitome(jsonl(tmp_path / "rated.jsonl", rows))
    other = read_epitome(released(tmp_path / "dataset", rows))
    assert one.pairs == other.pairs
    assert one.counts() == other.counts()


def test_a_folder_that_does_not_fit_together(tmp_path: Path) -> None:
    folder = released(tmp_path / "dataset", epitome_rows(12))
    (folder / "explorations-reddit.csv").write_text("seeker_post,response_post,level\nmy cat ran away,oh,1\n")
    with pytest.raises(UserError, match=r"reactions-reddit.csv:2: explorations-reddit.csv has no row with this"):
        read_epitome(folder)
    (folder / "explorations-reddit.csv").unlink()
    with pytest.raises(UserError, match="has 0 files named after explorations, not one"):
        read_epitome(folder)


def test_openings_and_responses_are_texts_of_their_own(tmp_path: Path) -> None:
    data = read_emotion(jsonl(tmp_path / "talk.jsonl", dialogue_rows(30)), FitSettings(folds=5))
    assert data.dimensions[0].labels == ("afraid", "joyful", "sad")
    assert len(data.pairs) == 60
    assert all(context == () for context, _ in data.pairs)
    assert data.parts["openings"].sum() == data.parts["responses"].sum() == 30
    assert len(set(data.groups)) == 30


def test_much_data_is_drawn_by_dialogue(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "talk.jsonl", dialogue_rows(60))
    data = read_emotion(path, FitSettings(folds=2), most=51)
    assert len(data.pairs) == 50
    assert len(set(data.groups)) == 25
    assert data.left_out == {"drawn out": 70}
    assert read_emotion(path, FitSettings(folds=2), most=51).pairs == data.pairs


def test_categories_that_cannot_be_learnt(tmp_path: Path) -> None:
    rows = dialogue_rows(30)
    with pytest.raises(
        UserError, match="20 folds by dialogue need 20 dialogues of each category or more; 'afraid' has 10"
    ):
        read_emotion(jsonl(tmp_path / "a.jsonl", rows), FitSettings(folds=20))
    with pytest.raises(UserError, match="has no category"):
        read_emotion(jsonl(tmp_path / "b.jsonl", [row | {"category": None} for row in rows]), FitSettings(folds=2))
    with pytest.raises(UserError, match="one category alone, 'sad'"):
        read_emotion(jsonl(tmp_path / "c.jsonl", [row | {"category": "sad"} for row in rows]), FitSettings(folds=2))
    some = [row | {"category": None if i < 3 else row["category"]} for i, row in enumerate(rows)]
    assert read_emotion(jsonl(tmp_path / "d.jsonl", some), FitSettings(folds=2)).left_out == {"no category": 3}
