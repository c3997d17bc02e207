"""Two prompts of a generator side by side, against a real server."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis import SynthesisSettings
from efficient_empathy.synthesis.trial import compare_generation_prompts, trial_text
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok
from synthesizing_server import Writer, written

SETTINGS = SynthesisSettings(pilot=12, max_response_words=60, seed_overlap=1.0)
PROMPT = "name: curt\nversion: 3\nprompt: |\n  CURT {dialogue} {lines} {words}\n"


class Writers:
    """Writes well for the generator's own prompt, and a dialogue in three for the other."""

    def __init__(self) -> None:
        self.pool, self.curt, self.own = Writer().pool, 0, 0

    def __call__(self, body: dict, number: int) -> Behaviour:
        if "CURT" in body["messages"][-1]["content"]:
            self.curt += 1
            return ok(written(self.pool[-self.curt]) if self.curt % 3 == 0 else "No.")
        self.own += 1
        return ok(written(self.pool[self.own]))


def compare(run, a, b, server, settings=SETTINGS):
    endpoint = EndpointOptions(base_url=server.url, concurrency=1)
    console = Console(file=io.StringIO())
    return compare_generation_prompts(run, "writer", str(a), str(b), settings, endpoint=endpoint, console=console)


def test_the_same_samples_are_asked_for_by_both_and_the_better_one_is_told(run, tmp_path):
    (tmp_path / "curt.yaml").write_text(PROMPT, "utf-8")
    before = {path: file_hash(path) for path in (run.samples, run.scores)}
    with MisbehavingServer(writers := Writers()) as server:
        trial = compare(run, "rewrite", tmp_path / "curt.yaml", server)
        prompts = [body["messages"][-1]["content"] for body in server.requests]
        again = compare(run, "rewrite", tmp_path / "curt.yaml", server)
        assert len(server.requests) == len(prompts) == 24
    assert again == trial
    seeds = [re.findall(r"<<<dialogue ([0-9a-f]{12})", prompt)[0] for prompt in prompts]
    assert seeds[:12] == seeds[12:]
    assert (writers.own, writers.curt) == (12, 12)
    assert (trial.requests, trial.a.answered, trial.b.answered) == (12, 12, 12)
    assert trial.b.steps[0].reasons == {"it has no lines “Speaker:” and “Listener:”": 8}
    assert trial.b.passed <= 4 < trial.a.passed
    assert trial.difference.value == pytest.approx((trial.b.passed - trial.a.passed) / 12)
    assert trial.difference.high is not None
    assert trial.difference.high < 0
    assert trial.b.prompt.name == "curt"
    text = trial_text(trial)
    assert "A brings more through" in text
    assert "curt, version 3" in text
    assert f"{trial.a.passed / 12:.0%} come through by A" in text
    assert {path: file_hash(path) for path in before} == before
    assert not run.synthetic.exists()


def test_the_same_prompt_twice_and_several_generators_are_refused(run, tmp_path):
    own = tmp_path / "own.yaml"
    with MisbehavingServer(Writers()) as server:
        with pytest.raises(UserError, match="are the same prompt"):
            compare(run, "rewrite", "rewrite", server)
        with pytest.raises(UserError, match="of one generator"):
            compare(run, "rewrite", own, server, SETTINGS.model_copy(update={"generators": ("rewrite", "answer")}))
        with pytest.raises(UserError, match=r"own\.yaml"):
            compare(run, "rewrite", own, server)
        assert not server.requests
