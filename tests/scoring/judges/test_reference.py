from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.judges.choice import JudgeOptions
from efficient_empathy.scoring.judges.reference import full_reference, judge_of

RUBRIC = Rubric.load()


def test_model_and_server_in_one_word(tmp_path) -> None:
    judge = judge_of("openai:qwen@http://127.0.0.1:9/v1", RUBRIC, Workspace(tmp_path), JudgeOptions(model="other"))
    assert judge.name == "qwen"
    assert "127.0.0.1:9" in judge.endpoint.url
    plain = judge_of("openai", RUBRIC, Workspace(tmp_path), JudgeOptions(model="m", base_url="http://127.0.0.1:8/v1"))
    assert (plain.name, "127.0.0.1:8" in plain.endpoint.url) == ("m", True)


@pytest.mark.parametrize("reference", ["oracle", "", "openai:", "gpt-4o"])
def test_what_names_no_judge_is_refused_with_the_forms(tmp_path, reference: str) -> None:
    with pytest.raises(UserError, match="openai:MODEL@URL"):
        judge_of(reference, RUBRIC, Workspace(tmp_path))


@pytest.mark.parametrize(
    ("reference", "options", "full"),
    [
        ("openai:a@http://b/v1?key=secret", {}, "openai:a@http://b/v1"),
        ("openai", {"model": "m", "base_url": "http://c/v1"}, "openai:m@http://c/v1"),
        ("distilled", {}, "distilled"),
        ("distilled", {"folder": Path("mine")}, "distilled:mine"),
        ("replay:old.json", {"replies": Path("new.json")}, "replay:old.json"),
    ],
)
def test_a_full_reference_needs_no_options_and_tells_no_secret(reference, options, full) -> None:
    assert full_reference(reference, JudgeOptions(**options)) == full


def test_the_default_server_is_part_of_it(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://d/v1")
    assert full_reference("openai:m") == "openai:m@http://d/v1"
