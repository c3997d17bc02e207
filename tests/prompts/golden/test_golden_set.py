import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.golden.golden_set import BUNDLED, look_at, read_golden, read_lines, seal
from efficient_empathy.scoring.rubric import Rubric
from golden_sets import golden_set, samples


def test_what_is_written_is_read_again(tmp_path) -> None:
    golden = read_golden(golden_set(tmp_path / "g", 12))
    assert (len(golden.items), golden.axes) == (12, ("sensibility", "rationality"))
    assert golden.weights.tolist() == [1.0] * 12
    assert golden.manifest.corpus == read_golden(golden_set(tmp_path / "h", 12)).manifest.corpus


def change(folder, **changes) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": 11}, "is of 11 items, and items.jsonl has 12"),
        ({"corpus": "0123456789abcdef"}, "is of other items than items.jsonl has"),
        ({"version": 1}, "it has version 1 and this program reads version 2"),
        ({"policy": {"name": "own", "rules": [{"kind": "warmth > 2"}]}}, "warmth stands there"),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path, changes, message) -> None:
    folder = golden_set(tmp_path / "g", 12)
    change(folder, **changes)
    with pytest.raises(UserError, match=r"manifest\.json") as error:
        read_golden(folder)
    assert message in str(error.value)


def test_several_problems_are_counted_and_listed(tmp_path) -> None:
    folder = golden_set(tmp_path / "g", 5)
    lines = (folder / "items.jsonl").read_text("utf-8").splitlines()
    (folder / "items.jsonl").write_text("\n".join([lines[0], "{", lines[1].replace("hard", "easy")]), "utf-8")
    with pytest.raises(UserError, match=r"items\.jsonl:2: .* \(and 1 more: .*--check"):
        read_golden(folder)
    problems, golden = look_at(folder)
    assert [problem.split(":")[1] for problem in problems] == ["2", "3"]
    assert golden is None


def test_the_rubric_that_is_tested_has_to_have_the_axes(tmp_path) -> None:
    with pytest.raises(UserError, match=r"items\.jsonl:1: it expects a score for 'sensibility'"):
        read_golden(golden_set(tmp_path / "g", 3), Rubric.load("quality"))


def test_no_folder_names_what_makes_one(tmp_path) -> None:
    with pytest.raises(UserError, match="prompts golden --run RUN"):
        read_golden(tmp_path / "nowhere")


def test_a_hand_made_set_without_ids_and_manifest_is_sealed(tmp_path) -> None:
    folder = tmp_path / "hand"
    folder.mkdir()
    item = {
        "context": [{"role": "speaker", "text": "My tent blew away."}],
        "response": "Oh no, all of it?",
        "expected": {"sensibility": [4, 6], "rationality": 2},
    }
    (folder / "items.jsonl").write_text(json.dumps(item) + "\n", "utf-8")
    assert "--write" in look_at(folder)[0][0]
    seal(folder)
    golden = read_golden(folder)
    assert (golden.name, golden.manifest.judge, golden.manifest.rubric.name) == ("hand", None, "empathy-selection")


@pytest.mark.skipif(not (BUNDLED / "items.jsonl").exists(), reason="the golden set of the package is not built")
def test_the_package_has_one_that_is_in_order() -> None:
    golden = read_golden("bundled")
    assert len(golden.items) == 200


SCALES = {"sensibility": (0, 10), "rationality": (0, 10)}


def row(i=0, **changes):
    sample = samples(i + 1)[i]
    options = {
        "id": sample.id,
        "dialogue_id": sample.dialogue_id,
        "turn": sample.turn,
        "context": [{"role": turn.role, "text": turn.text} for turn in sample.context],
        "response": sample.response,
        "category": sample.category,
        "expected": {"sensibility": 8, "rationality": [1, 3]},
    }
    return {key: value for key, value in {**options, **changes}.items() if value is not ...}


def read(tmp_path, *rows, **options):
    path = tmp_path / "items.jsonl"
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows), "utf-8")
    return read_lines(path, SCALES, **options)


def test_a_line_is_a_sample_and_the_ranges_it_is_expected_in(tmp_path) -> None:
    result = read(tmp_path, row(0, note="plain", weight=2), "", row(1))
    assert not result.problems
    assert result.rows[0].sample.id == samples(1)[0].id
    assert result.rows[0].expected == {"sensibility": (8, 8), "rationality": (1, 3)}
    assert (result.rows[0].note, result.rows[0].weight, result.rows[1].weight) == ("plain", 2, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "an item is a JSON object, not a list"),
        (row(id="f" * 32), "is not that of its text"),
        (row(response="Another text."), "is not that of its text"),
        (row(id=...), "it has no id"),
        (row(expected=...), "it has no expected scores"),
        (row(expected={"sensibility": 8}), "no expected score for rationality"),
        (row(expected={"sensibility": 8, "rationality": 2, "warmth": 1}), "'warmth', and the rubric's axes are"),
        (row(expected={"sensibility": 11, "rationality": 2}), "expected sensibility is 11, outside the scale 0–10"),
        (row(expected={"sensibility": [3, 1], "rationality": 2}), "lowest is above its highest"),
        (row(expected={"sensibility": "high", "rationality": 2}), "'high': write a number, or [lowest, highest]"),
        (row(expected={"sensibility": True, "rationality": 2}), "True: write a number"),
        (row(expected={"sensibility": float("nan"), "rationality": 2}), "nan: write a number"),
        (row(expectd={}), "expectd is no key: did you mean expected?"),
        (row(context=[]), "context must be a list of turns"),
        (row(context=[{"role": "user", "text": "Hi"}]), "is no turn"),
        (row(context=[{"role": "listener", "text": "Hi"}]), "must end with a turn of the speaker"),
        (row(response=""), "response must be the listener's text"),
        (row(weight=0), "weight is 0"),
        (row(category=3), "category is 3: it must be text"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_and_line(tmp_path, line, message) -> None:
    result = read(tmp_path, row(1), line)
    (problem,) = result.problems
    assert problem.startswith(f"{tmp_path}/items.jsonl:2: ")
    assert message in problem
    assert "\n" not in problem


def test_an_item_that_stands_twice_names_the_first(tmp_path) -> None:
    assert "line 1 already" in read(tmp_path, row(0), row(1), row(0)).problems[0]


def test_a_file_without_items(tmp_path) -> None:
    assert "holds no item" in read(tmp_path, "", "  ").problems[0]


def test_ids_are_filled_in_on_request(tmp_path) -> None:
    result = read(tmp_path, row(0, id=..., dialogue_id=..., turn=...), fill=True)
    assert result.rows[0].sample.id == samples(1)[0].id


@given(st.binary(max_size=200))
def test_whatever_bytes_there_are_it_says_what_is_wrong(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "items.jsonl"
    path.write_bytes(content)
    result = read_lines(path, SCALES)
    assert result.problems
    assert all(problem.startswith(str(path)) for problem in result.problems)
