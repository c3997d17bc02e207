import json

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.testing.results import Results, read_result

RESULT = {
    "kind": "prompt-test",
    "format": 1,
    "corpus": "c",
    "rubric": {},
    "judge": {"name": "a/b:c", "spec": "s"},
    "items": [],
    "rounds": [1],
    "parser": None,
    "decoding": None,
    "value": float("nan"),
}


def other(name):
    return RESULT | {"judge": {"name": name, "spec": name}}


def test_results_are_numbered_and_the_latest_of_a_judge_comes_first(tmp_path) -> None:
    kept = Results(tmp_path)
    assert kept.latest("m", 9) is None
    first = kept.write(RESULT, "a/b:c")
    second = kept.write(other("m"), "m")
    assert [first.name, second.name] == ["0001-a-b-c.json", "0002-m.json"]
    assert read_result(first)["value"] is None
    assert kept.latest("a/b:c", 2)[0] == first
    assert kept.latest("new", 2)[0] == second
    assert kept.latest("m", 1)[0] == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no result of `prompts test`"),
        (json.dumps({"kind": "prompt-test"}), "is no result"),
        (json.dumps({**RESULT, "value": 0, "format": 7}), "has format 7; this version reads 1"),
    ],
)
def test_what_is_no_result(tmp_path, text, said) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=said):
        read_result(path)
    with pytest.raises(UserError, match="cannot read"):
        read_result(tmp_path / "nowhere.json")
