import pytest
from pydantic import BaseModel, ValidationError, field_validator

from efficient_empathy.foundation.run.manifest import Artifact, Manifest, first_fault


def test_entries_and_artifacts_of_one_stage_are_replaced_and_those_of_others_stay() -> None:
    one, two, three = Artifact(stage="score", size=1), Artifact(stage="select"), Artifact(stage="score")
    manifest = Manifest(stages={"select": {"n": 1}}, artifacts={"a": one, "b": two})
    changed = manifest.with_entry("score", {"n": 2}).with_artifacts("score", {"c": three})
    assert changed.stages == {"select": {"n": 1}, "score": {"n": 2}}
    assert changed.artifacts == {"b": two, "c": three}
    assert changed.artifacts_of("score") == {"c": three}
    assert changed.artifacts_of("train") == changed.entry("train") == {}
    assert manifest.artifacts == {"a": one, "b": two}
    assert changed.with_entry("score", {}).entry("score") == {}


def test_when_a_stage_came_to_its_end() -> None:
    manifest = Manifest(
        stages={"a": {"finished_at": 5}, "b": {"finished_at": "soon"}, "c": {}, "d": {"interrupted": True}}
    )
    assert [manifest.finished_at(name) for name in "abcde"] == [5.0, 0.0, 0.0, 0.0, 0.0]
    assert [manifest.is_interrupted(name) for name in "abcde"] == [False, False, False, True, False]


def test_what_is_not_known_of_a_file_is_not_written() -> None:
    manifest = Manifest(stages={}, artifacts={"a": Artifact(stage="score"), "b": Artifact(stage="score", size=0)})
    assert manifest.model_dump() == {
        "stages": {},
        "artifacts": {"a": {"stage": "score"}, "b": {"stage": "score", "size": 0}},
    }


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "a\0b", "a\ud800"])
def test_what_cannot_be_a_file_of_the_run_is_no_artifact(path: str) -> None:
    with pytest.raises(ValidationError, match=r"is no path|lies outside the run's folder"):
        Manifest(stages={}, artifacts={path: Artifact(stage="score")})


class Form(BaseModel):
    inner: dict[str, list[int]] = {}
    name: str = "x"

    @field_validator("name")
    @classmethod
    def _check(cls, name: str) -> str:
        if name == "bad":
            raise ValueError("it is bad")
        return name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"inner": {"a": [1, "x", "y"]}, "name": "bad"}, "inner.a.1: Input should be a valid integer, unable to parse"),
        ({"name": "bad"}, "name: it is bad"),
        ([], "Input should be a valid dictionary or instance of Form"),
    ],
)
def test_the_first_fault_is_named_by_its_place(content, said) -> None:
    with pytest.raises(ValidationError) as raised:
        Form.model_validate(content)
    assert first_fault(raised.value).startswith(said)
