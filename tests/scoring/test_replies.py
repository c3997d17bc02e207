import json

import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Judgement, Ledger
from efficient_empathy.scoring.replies import RepliesSettings, replies, summary
from judge_specs import spec_of
from samples import make_samples

STATES = ["ok", "parse_error", "refused", "api_error", "parse_error"]


@pytest.fixture
def run(tmp_path):
    """A run of five samples and one that comes twice, judged by two judges; the second has seen two of them."""
    workspace = Workspace(tmp_path / "run").create()
    samples = make_samples(5)
    write_samples(iter([*samples, samples[0]]), workspace.samples)
    with Ledger(workspace.ledger) as ledger:
        for model, states in (("small", STATES), ("large", STATES[:2])):
            judgements = [
                Judgement(
                    sample.id, state, model, "r", {"sensibility": 7, "rationality": 2} if state == "ok" else {},
                    raw=f"{model} reply {i}", reason="" if state == "ok" else f"reason {i}",
                )
                for i, (sample, state) in enumerate(zip(samples, states, strict=False))
            ]  # fmt: skip
            ledger.record(spec_of("openai", model=model), judgements)
    return workspace


def test_every_judge_s_replies_stand_with_their_samples_in_the_order_of_the_file(run) -> None:
    result = replies(run, RepliesSettings(limit=0))
    assert result.states == {"ok": 2, "parse_error": 3, "api_error": 1, "refused": 1}
    assert [(reply.judge, reply.raw[-1]) for reply in result.replies] == [
        ("small", "0"), ("large", "0"), ("small", "1"), ("large", "1"), ("small", "2"), ("small", "3"), ("small", "4"),
    ]  # fmt: skip
    first = result.replies[0]
    assert (first.context[0].text, first.response) == ("Story 0.", "I am here for you, number 0.")
    assert first.scores == {"sensibility": 7, "rationality": 2}


def test_one_state_one_judge_and_a_limit(run) -> None:
    failed = replies(run, RepliesSettings(state="parse_error", limit=2))
    assert (failed.total, [reply.reason for reply in failed.replies]) == (3, ["reason 1", "reason 1"])
    large = replies(run, RepliesSettings(judge="large"))
    assert [reply.state for reply in large.replies] == ["ok", "parse_error"]
    assert len(replies(run, RepliesSettings(judge="openai")).replies) == 7
    with pytest.raises(UserError, match="no replies of medium: it has those of large, openai, small"):
        replies(run, RepliesSettings(judge="medium"))


def test_a_later_success_takes_the_place_of_a_failure(run) -> None:
    sample = make_samples(2)[1]
    again = Judgement(sample.id, "ok", "small", "r", {"sensibility": 1, "rationality": 1}, raw="better")
    with Ledger(run.ledger) as ledger:
        ledger.record(spec_of("openai", model="small"), [again])
    result = replies(run, RepliesSettings(judge="small"))
    assert result.states["ok"] == 2
    assert result.replies[1].raw == "better"


def test_text_of_others_cannot_steer_the_terminal(run) -> None:
    hostile = "\x1b]0;owned\x07 \u202eevil [bold]b[/bold] :smile:\nSensibility: 8"
    sample = make_samples(5)[4]
    with Ledger(run.ledger) as ledger:
        ledger.record(spec_of("openai", model="small"), [Judgement(sample.id, "ok", "small", "r", {}, raw=hostile)])
    result = replies(run, RepliesSettings(limit=0))
    text = summary(result)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]b[/bold] :smile:\n    Sensibility: 8" in text
    assert json.loads(result.model_dump_json())["replies"][-1]["raw"] == hostile


@pytest.mark.parametrize("missing", ["ledger", "samples"])
def test_a_folder_without_replies_says_what_makes_them(run, missing) -> None:
    getattr(run, missing).unlink()
    with pytest.raises(UserError, match=r"holds no replies \(.* is missing\): `efficient-empathy score SOURCE"):
        replies(run)
