import io
import json
import random

import pytest
from rich.console import Console

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring import Judgement
from efficient_empathy.scoring.stage import score
from judge_specs import spec_of
from shared_data import FOLDER, needs_shared_data

QUIET = Console(file=io.StringIO())


class ByRule:
    """Scores the i-th sample of a file by a rule on its number and its response's length."""

    batch_size, concurrency = 64, 1

    def __init__(self, rule, name="rule") -> None:
        self.rule, self.name, self.spec = rule, name, spec_of(name)

    async def judge(self, samples):
        return [self._one(sample) for sample in samples]

    def _one(self, sample):
        scores = self.rule(int(sample.response.split()[1]), len(sample.response))
        if scores is None:
            return Judgement(sample.id, "parse_error", self.name, "r", reason="no value")
        return Judgement(
            sample.id, "ok", self.name, "r", dict(zip(("sensibility", "rationality"), scores, strict=True))
        )


def warnings(tmp_path, judge, n=200):
    chance = random.Random(7)
    with (tmp_path / "chat.jsonl").open("w") as file:
        for i in range(n):
            reply = f"Reply {i} {'x' * chance.randrange(300)}"
            turns = [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": reply}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return score(tmp_path / "chat.jsonl", Workspace(tmp_path / "run"), judge, console=QUIET).warnings


def chance(i, salt=0):
    return random.Random(i * 2 + salt).randrange(11)


@pytest.mark.parametrize("n", [12, 200])
def test_the_same_score_for_all_is_said_for_each_axis(tmp_path, n) -> None:
    first, second = warnings(tmp_path, ByRule(lambda i, _: (8, 0)), n)
    assert f"sensibility is 8 for all {n} samples" in first
    assert f"rationality is 0 for all {n} samples" in second


def test_nearly_the_same_score_too_and_failures_do_not_count(tmp_path) -> None:
    rule = lambda i, _: None if i % 2 else (8 if i % 50 else 3, chance(i))  # noqa: E731
    (sentence,) = warnings(tmp_path, ByRule(rule))
    assert "sensibility is 8 for 96 of 100 (96.0%) samples" in sentence


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda i, _: (i // 20, chance(i)), "sensibility follows the place in the file"),
        (lambda i, _: (chance(i), 10 - i // 20), "rationality follows the place in the file"),
        (lambda i, length: (min(10, length // 30), chance(i)), "sensibility follows the length of the response"),
    ],
)
def test_scores_that_follow_place_or_length_are_named(tmp_path, rule, words) -> None:
    (sentence,) = warnings(tmp_path, ByRule(rule))
    assert words in sentence


@pytest.mark.parametrize("n", [1, 9, 12, 29, 200])
def test_a_judge_of_no_pattern_is_left_alone(tmp_path, n) -> None:
    assert warnings(tmp_path, ByRule(lambda i, _: (chance(i), chance(i, 1))), n) == ()


def test_of_several_judges_the_one_is_named_whose_scores_look_wrong(tmp_path) -> None:
    good, bad = ByRule(lambda i, _: (chance(i), chance(i, 1)), "good"), ByRule(lambda i, _: (8, chance(i, 2)), "bad")
    (sentence,) = warnings(tmp_path, [good, bad])
    assert sentence.startswith("of bad: sensibility is 8 for all 200 samples")


def test_the_bundled_dialogues_and_judge_give_no_alarm(tmp_path) -> None:
    assert score(DIALOGUES / "test.jsonl", Workspace(tmp_path), console=QUIET).warnings == ()


@needs_shared_data
def test_a_real_judge_gives_no_alarm(tmp_path) -> None:
    source = FOLDER / "chatgpt_judgements" / "valid.json.gz"
    assert score(source, Workspace(tmp_path), "replay", console=QUIET).warnings == ()
