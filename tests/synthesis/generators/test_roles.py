"""Dialogues that are played line by line, by two models or by one, against a real server."""

from __future__ import annotations

import io
import shutil
from itertools import pairwise

import polars as pl
import pytest
from pydantic import ValidationError
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis import SynthesisSettings, plan_synthesis, synthesize
from efficient_empathy.synthesis.record import plan_text
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok, unauthorized
from synthesizing_server import Writer

PLAYED = SynthesisSettings(
    samples=3, pilot=4, generators=("roles",), speaker="patient", rounds="1-2", max_response_words=60, seed_overlap=1.0
)


class Stage:
    """Plays bundled dialogues: each opening is the start of one, and what follows in it follows here."""

    def __init__(self, dies: int | None = None) -> None:
        self.asked: list[tuple[str, list[dict]]] = []
        self.pool = [one.texts() for one in Writer().pool if len(one.texts()) >= 4]
        self.opened, self.dies = 0, dies
        self.texts = {text: after for lines in self.pool for text, after in pairwise(lines)}

    def __call__(self, body: dict, number: int) -> Behaviour:
        if self.dies is not None and len(self.asked) >= self.dies:
            return unauthorized()
        messages = body["messages"]
        self.asked.append((body["model"], messages))
        last = messages[-1]["content"].removeprefix("Listener: ")
        if last in self.texts:
            return ok(f"Listener: {self.texts[last]}" if body["model"] == "friend" else self.texts[last])
        self.opened += 1
        return ok(f"“{self.pool[self.opened][0]}”")


def make(run, server, settings=PLAYED, model="friend"):
    endpoint = EndpointOptions(base_url=server.url, concurrency=1)
    return synthesize(run, model, settings, endpoint=endpoint, console=Console(file=io.StringIO()))


def test_two_models_play_a_dialogue_each_in_its_own_form(run):
    with MisbehavingServer(stage := Stage()) as server:
        result = make(run, server)
        again = make(run, server)
    assert again.skipped
    rows = pl.read_parquet(run.synthesis / "candidates.parquet")
    whole = rows.filter(pl.col("sample_id").is_not_null())
    assert result.candidates == len(rows) >= 4
    assert len(whole) >= 3
    speaking = [messages for model, messages in stage.asked if model == "patient"]
    listening = [messages for model, messages in stage.asked if model == "friend"]
    assert len(speaking) + len(listening) == len(stage.asked)
    assert all("You are" in messages[1]["content"] for messages in speaking)
    assert {messages[-1]["role"] for messages in [*speaking, *listening]} == {"user"}
    for row in whole.iter_rows(named=True):
        lines = [*(turn["text"] for turn in row["context"]), row["response"]]
        assert [stage.texts[text] for text in lines[:-1]] == lines[1:]  # without labels and quotes
        roles = [turn["role"] for turn in row["context"]]
        assert roles == [("speaker", "listener")[place % 2] for place in range(len(roles))]
    lengths = set(whole["context"].list.len())
    assert lengths == {1, 3}
    later = [messages for messages in speaking if len(messages) > 2]
    assert [message["role"] for message in later[0]] == ["system", "user", "assistant", "user"]


def test_killed_between_lines_it_goes_on_with_the_next_and_asks_nothing_twice(run, scored, tmp_path):
    with MisbehavingServer(whole := Stage()) as server:
        make(run, server)
        other = Workspace(shutil.copytree(scored.root, tmp_path / "other"))
        server.behaviour = whole
    with MisbehavingServer(stage := Stage(dies=6)) as server:
        with pytest.raises(UserError, match="goes on from there"):
            make(other, server)
        stage.dies = None
        make(other, server)
    assert [model for model, _ in stage.asked] == [model for model, _ in whole.asked]
    tables = [pl.read_parquet(one.synthesis / "candidates.parquet")["reply"] for one in (run, other)]
    assert tables[0].equals(tables[1])


def test_a_line_that_is_none_ends_the_dialogue_and_the_reason_names_it(run):
    stage = Stage()

    def silent(body: dict, number: int) -> Behaviour:
        return ok("Speaker: And what about me?") if body["model"] == "friend" and number % 3 else stage(body, number)

    with MisbehavingServer(silent) as server:
        make(run, server, PLAYED.model_copy(update={"samples": 1, "max_requests": 12}))
    rows = pl.read_parquet(run.synthesis / "candidates.parquet")
    faults = rows.filter(pl.col("sample_id").is_null())
    assert set(faults["reason"]) <= {f"line {n}, the listener's: it goes on as the speaker" for n in (2, 4)}
    assert len(faults) > 0


def test_one_model_may_play_both_and_the_plan_counts_every_line(run):
    both = PLAYED.model_copy(update={"speaker": None, "rounds": "2"})
    with MisbehavingServer(stage := Stage()) as server:
        endpoint = EndpointOptions(base_url=server.url)
        plan = plan_synthesis(run, "friend", both, endpoint=endpoint)
        assert not stage.asked
    single = plan_synthesis(run, "friend", both.model_copy(update={"generators": ("situation",)}), endpoint=endpoint)
    assert plan.completion_tokens == 4 * single.completion_tokens
    assert (plan.requests, plan.calls) == (single.requests, 4 * single.calls)
    assert f"about {plan.calls} calls" in plan_text(plan)
    assert "calls" not in plan_text(single)
    assert plan.example.startswith("[system]\nYou play a person")


def test_a_speaker_without_roles_is_refused():
    with pytest.raises(ValidationError, match="only the generator roles"):
        SynthesisSettings(speaker="patient")
