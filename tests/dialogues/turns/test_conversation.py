from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from efficient_empathy.dialogues import Intake
from efficient_empathy.dialogues.rows import MalformedError, Row
from efficient_empathy.dialogues.turns.conversation import (
    MAX_CHARACTERS,
    MAX_TURNS,
    Turn,
    conversation,
    pair,
)

ROW = Row("file:1", {}, "file", "train")
TURNS = st.lists(st.tuples(st.sampled_from(["speaker", "listener"]), st.sampled_from(["", "a", "b\nc"])), max_size=12)


def test_every_listener_turn_is_a_sample_with_all_turns_before() -> None:
    intake = Intake()
    turns: list[Turn] = [("speaker", "a"), ("listener", "b"), ("speaker", "c"), ("listener", "d"), ("speaker", "e")]
    row = Row("file:1", {"emotion": "sad", "conv_id": 7}, "file", "train")
    first, second = conversation(turns, row, intake)
    assert [turn.text for turn in first.context] == ["a"]
    assert [turn.text for turn in second.context] == ["a", "b", "c"]
    assert (first.response, second.response) == ("b", "d")
    assert (first.turn, second.turn) == (1, 3)
    assert first.dialogue_id == second.dialogue_id == "7"
    assert (first.category, first.split, first.source) == ("sad", "train", "file")
    assert intake.repairs == {"last turns without a reply left out": 1}


def test_repairs_are_made_and_counted() -> None:
    intake = Intake()
    turns: list[Turn] = [("listener", "hello"), ("speaker", "a"), ("speaker", ""), ("speaker", "b"), ("listener", "c")]
    turns += [("listener", "d")]
    [sample] = conversation(turns, ROW, intake)
    assert sample.context[0].text == "a\nb"
    assert (sample.response, sample.turn) == ("c\nd", 1)
    assert intake.repairs == {
        "opening listener turns left out": 1,
        "empty turns left out": 1,
        "running turns merged": 2,
    }


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no speaker turn"),
        ([("listener", "a")], "no speaker turn"),
        ([("speaker", "a"), ("listener", "")], "no listener response"),
        ([("speaker", "a"), ("listener", "x" * 10_000_000)], "10,000,000 characters"),
        ([("speaker", "x" * 60_000), ("speaker", "x" * 60_000), ("listener", "b")], "120,001 characters"),
        ([("speaker", "a"), ("listener", "b")] * 1_001, "2,002 turns"),
    ],
)
def test_what_carries_no_sample_is_malformed(turns: list[Turn], reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        conversation(turns, ROW, Intake())


def test_limits_themselves_are_in() -> None:
    turns: list[Turn] = [("speaker", "a"), ("listener", "b")] * (MAX_TURNS // 2)
    assert len(conversation(turns, ROW, Intake())) == MAX_TURNS // 2
    assert pair([("speaker", "a")], "x" * MAX_CHARACTERS, ROW, Intake()).response


@given(turns=TURNS)
def test_contexts_always_alternate_from_speaker_to_speaker(turns: list[Turn]) -> None:
    try:
        samples = conversation(turns, ROW, Intake())
    except MalformedError:
        return
    assert samples
    for sample in samples:
        assert [turn.role for turn in sample.context] == (["speaker", "listener"] * len(turns))[: len(sample.context)]
        assert sample.context[-1].role == "speaker"
        assert all(turn.text for turn in sample.context)
        assert sample.response


def test_a_pair_keeps_its_own_turn_and_is_known_by_its_first_turn() -> None:
    a = pair([("speaker", "a")], "b", Row("file:1", {"turn": 7}, "file"), Intake())
    c = pair([("speaker", "a"), ("listener", "b"), ("speaker", "c")], "d", ROW, Intake())
    assert (a.turn, c.turn) == (7, 3)
    assert a.dialogue_id == c.dialogue_id


def test_an_empty_response_is_not_made_up_from_the_context() -> None:
    with pytest.raises(MalformedError, match="no listener response"):
        pair([("speaker", "a"), ("listener", "b")], "", ROW, Intake())


def test_what_ends_without_a_reply_is_counted_and_can_be_read_as_a_context() -> None:
    turns: list[Turn] = [("speaker", "a"), ("listener", "b"), ("speaker", "c")]
    intake = Intake(open_ends=True)
    replied, awaiting = conversation(turns, ROW, intake)
    [alone] = conversation(turns[:1], ROW, intake)
    unanswered = pair(turns, "", ROW, intake)
    assert [(len(s.context), s.response) for s in (replied, awaiting, alone, unanswered)] == [
        (1, "b"), (3, ""), (1, ""), (3, ""),
    ]  # fmt: skip
    assert (intake.unanswered, awaiting.dialogue_id) == (3, replied.dialogue_id)
    assert not intake.repairs
    strict = Intake()
    assert len(conversation(turns, ROW, strict)) == 1
    for call in (lambda: conversation(turns[:1], ROW, strict), lambda: pair(turns, "", ROW, strict)):
        with pytest.raises(MalformedError, match="no listener response"):
            call()
    assert strict.unanswered == 3
