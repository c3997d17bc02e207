import json

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.golden.golden_set import BUNDLED, look_at, read_golden, seal
from efficient_empathy.scoring.rubric import Rubric
from golden_sets import golden_set


def test_what_is_written_is_read_again(tmp_path) -> None:
    golden = read_golden(golden_set(tmp_path / "g", 12))
    assert (len(golden.items), golden.axes) == (12, ("sensibility", "rationality"))
    assert golden.weights.tolist() == [1.0] * 12
    assert golden.manifest.corpus == read_golden(golden_set(tmp_path / "h", 12)).manifest.corpus


def change(folder, **changes) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"items": 11}, "is of 11 items, and items.jsonl has 12"),
        ({"corpus": "0123456789abcdef"}, "is of other items than items.jsonl has"),
        ({"version": 2}, "it has version 2 and this program reads version 1"),
        ({"policy": {"name": "own", "rules": [{"kind": "warmth > 2"}]}}, "warmth stands there"),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path, changes, said) -> None:
    folder = golden_set(tmp_path / "g", 12)
    change(folder, **changes)
    with pytest.raises(UserError, match=r"manifest\.json") as error:
        read_golden(folder)
    assert said in str(error.value)


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
