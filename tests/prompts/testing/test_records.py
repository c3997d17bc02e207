import json

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.testing.records import Results, read_result
from judge_specs import spec_of
from judged_results import FIGURE, result


def of(name):
    return result(judge={"name": name, "reference": name, "spec": spec_of(name)})


def test_results_are_numbered_and_the_latest_of_a_judge_comes_first(tmp_path) -> None:
    stored = Results(tmp_path)
    assert stored.latest("m", 9) is None
    first = stored.write(of("a/b:c"))
    second = stored.write(of("m"))
    assert [first.name, second.name] == ["0001-a-b-c.json", "0002-m.json"]
    assert read_result(first).model_dump() == of("a/b:c").model_dump()
    assert stored.latest("a/b:c", 2)[0] == first
    assert stored.latest("new", 2)[0] == second
    assert stored.latest("m", 1)[0] == first


def test_numbers_are_short_and_what_is_not_finite_is_null(tmp_path) -> None:
    path = Results(tmp_path).write(result(repeatability={"warmth": {"identical": (1 / 3, float("nan"), 1.0)}}))
    assert json.loads(path.read_text())["repeatability"]["warmth"]["identical"] == [0.333333, None, 1.0]
    assert read_result(path).figures["sensibility"]["exact"] == FIGURE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON"),
        ("[]", "no result of `prompts test`"),
        ('{"kind": "other"}', "no result of `prompts test`: .* has version None and this program reads version 1"),
        ('{"version": 7}', "it has version 7 and this program reads version 1"),
        ('{"version": 1}', "Field required"),
    ],
)
def test_what_is_no_result(tmp_path, text, message) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=message):
        read_result(path)
    with pytest.raises(UserError, match="cannot read"):
        read_result(tmp_path / "nowhere.json")
