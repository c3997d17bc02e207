from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from efficient_empathy.dialogues import Intake, ReadingSettings, Sample, open_source
from efficient_empathy.dialogues.formats import find_reader, recognise_format
from efficient_empathy.dialogues.rows import Row

GOOD, BAD = "Oh no. How are you?", "Whatever."
HH = "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: I lost my job.\n\nAssistant: "
USER, REPLY, ASK = (
    {"role": "user", "content": "Hi."},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "I lost my job."},
)


def said(text: str, role: str = "role", content: str = "content", name: str = "assistant") -> dict[str, str]:
    return {role: name, content: text}


THREE = [
    {"chosen": HH + GOOD, "rejected": HH + BAD},
    {"prompt": HH, "response": f" {GOOD}", "chosen": f" {GOOD}", "rejected": f" {BAD}"},
    {"prompt": [USER, REPLY, ASK], "chosen": [said(GOOD)], "rejected": [said(BAD)]},
    {"prompt": [USER, REPLY, ASK], "chosen": GOOD, "rejected": BAD},
    {"chosen": [USER, REPLY, ASK, said(GOOD)], "rejected": [USER, REPLY, ASK, said(BAD)]},
    {"prompt": [USER, REPLY, ASK], "chosen": [USER, REPLY, ASK, said(GOOD)], "rejected": [USER, REPLY, ASK, said(BAD)]},
    {"messages": [USER, REPLY, ASK], "chosen": said(GOOD), "rejected": said(BAD)},
    {"input": {"messages": [USER, REPLY, ASK]}, "preferred_output": [said(GOOD)], "non_preferred_output": [said(BAD)]},
    {"instruction": "I lost my job.", "input": "", "history": [["Hi.", "Hello."]], "chosen": GOOD, "rejected": BAD},
    {"chosen": ["Hi.", "Hello.", "I lost my job.", GOOD], "rejected": ["Hi.", "Hello.", "I lost my job.", BAD]},
    {"prompt": str([USER, REPLY, ASK]), "chosen": str([said(GOOD)]), "rejected": str([said(BAD)])},
    {
        "conversations": [said("Hi.", "from", "value", "human"), said("Hello.", "from", "value", "gpt"),
                          said("I lost my job.", "from", "value", "human")],
        "chosen": said(GOOD, "from", "value", "gpt"), "rejected": said(BAD, "from", "value", "gpt"),
    },
]  # fmt: skip
ONE = [
    {"prompt": "I lost my job.", "chosen": GOOD, "rejected": BAD},
    {"question": "I lost my job.", "system": "Be kind.", "chosen": GOOD, "rejected": BAD},
    {"prompt": "I lost my job.", "chosen": [ASK, said(GOOD)], "rejected": [ASK, said(BAD)], "messages": None},
    {"instruction": "I lost", "input": "my job.", "chosen": GOOD, "rejected": BAD},
    {"context": "I lost my job.", "chosen_response": GOOD, "rejected_response": BAD},
]


def read(row: dict[str, Any], side: Any = None) -> tuple[list[Sample], Intake]:
    intake = Intake(ReadingSettings(side=side, on_bad_row="skip"))
    reader = recognise_format([row])
    assert reader is not None
    assert reader.name == "preference"
    return list(reader.samples([Row("f:1", row, "f")], intake)), intake


@pytest.mark.parametrize(("turns", "row"), [(3, row) for row in THREE] + [(1, row) for row in ONE])
def test_both_sides_of_every_form_are_read_as_one_place_of_one_dialogue(turns: int, row: dict[str, Any]) -> None:
    samples, _ = read(row, "both")
    chosen, rejected = samples[-2:]
    assert [(one.response, one.side) for one in (chosen, rejected)] == [(GOOD, "chosen"), (BAD, "rejected")]
    assert chosen.context == rejected.context
    assert (len(chosen.context), chosen.context[-1].text.replace("\n", " ")) == (turns, "I lost my job.")
    assert (chosen.dialogue_id, chosen.turn) == (rejected.dialogue_id, rejected.turn)
    for side, response in (("chosen", GOOD), ("rejected", BAD), (None, GOOD)):
        samples, intake = read(row, side)
        assert samples[-1].response == response
        assert intake.repairs[f"{'chosen' if side == 'rejected' else 'rejected'} replies left out"] == 1


@pytest.mark.parametrize("row", [THREE[0], THREE[4]])
def test_replies_that_both_whole_dialogues_share_are_samples_of_no_side(row: dict[str, Any]) -> None:
    for side, count in ((None, 2), ("chosen", 2), ("rejected", 2), ("both", 3)):
        samples, _ = read(row, side)
        assert [sample.side is None for sample in samples] == [True] + [False] * (count - 1)
        assert samples[0].response == "Hello."


@pytest.mark.parametrize("row", THREE[1:4])
def test_a_prompt_s_own_replies_are_context_alone(row: dict[str, Any]) -> None:
    samples, intake = read(row, "both")
    assert len(samples) == 2
    assert not any("not to train on" in kind for kind in intake.repairs)


def test_pairs_of_one_text_are_no_pairs() -> None:
    row = {"prompt": "a", "chosen": "b", "rejected": "b"}
    [sample], intake = read(row)
    assert (sample.response, sample.side) == ("b", None)
    assert intake.repairs == {"pairs whose sides are the same, read as one reply of no side": 1}
    samples, intake = read(row, "both")
    assert not samples
    assert intake.repairs == {"pairs whose sides are the same left out": 1}


@pytest.mark.parametrize(
    ("row", "side", "words"),
    [
        ({"prompt": "a", "chosen": "", "rejected": "c"}, None, "'chosen' has no reply"),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, "both", "'rejected' has no reply"),
        ({"prompt": "a", "chosen": "b", "rejected": []}, "rejected", "'rejected' has no reply"),
        ({"chosen": "b", "rejected": "c"}, None, "'chosen' is a reply to nothing"),
        ({"prompt": "a", "chosen": [ASK], "rejected": "c"}, None, "'chosen' ends without a reply"),
        ({"prompt": "a", "chosen": [USER, REPLY], "rejected": "c"}, None, "'chosen' does not begin with the turns"),
        ({"prompt": "a", "chosen": "b\n\nHuman: c\n\nAssistant: d", "rejected": "c"}, None, "goes on with another"),
        ({"chosen": HH + GOOD + "\n\nHuman: x\n\nAssistant: y", "rejected": HH + BAD}, "both", "differ in more than"),
        ({"chosen": HH + GOOD, "rejected": "\n\nHuman: No.\n\nAssistant: a"}, "rejected", "differ in more than"),
        ({"prompt": "a", "chosen": [1], "rejected": "c"}, None, "'chosen' holds neither"),
    ],
)  # fmt: skip
def test_pairs_that_are_none_are_bad_rows(row: dict[str, Any], side: Any, words: str) -> None:
    samples, intake = read(row, side)
    assert not samples
    assert words in intake.bad_rows[0].reason


@pytest.mark.parametrize("rejected", ["", [], [{"role": "cat", "content": "x"}], [ASK]])
def test_the_chosen_side_is_read_whatever_the_other_is(rejected: Any) -> None:
    [sample], intake = read({"prompt": "a", "chosen": "b", "rejected": rejected})
    assert (sample.response, sample.side) == ("b", "chosen")
    assert intake.repairs == {"pairs without a rejected reply": 1}


def test_what_is_written_is_read_again_with_its_sides(write: Callable[..., Path]) -> None:
    source = open_source(write("a.jsonl", [ONE[0]]), ReadingSettings(side="both"))
    again = write("b.jsonl", [sample.row() for sample in source])
    assert [sample.side for sample in open_source(again)] == ["chosen", "rejected"]
    assert [sample.side for sample in open_source(again, ReadingSettings(side="rejected"))] == ["rejected"]


VALUE = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.sampled_from([HH + "x", "Human: a", "user", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "messages"]), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["prompt", "chosen", "rejected", "conversations", "instruction", "input", "history", "label", "id"]
)


@example(row={"prompt": None, "chosen": {"messages": [None]}}, side=None)
@example(row={"chosen": "0", "conversations": f"{HH}x"}, side=None)
@example(row={"prompt": "hi", "chosen": {"messages": "no"}, "rejected": {"messages": []}}, side="both")
@given(row=st.dictionaries(KEYS, VALUE), side=st.sampled_from([None, "chosen", "rejected", "both"]))
def test_no_value_does_more_than_make_a_bad_row(row: dict[str, Any], side: Any) -> None:
    intake = Intake(ReadingSettings(side=side, on_bad_row="skip"))
    for name in ("preference", "completion"):
        find_reader(name).recognises(row)
        for sample in find_reader(name).samples([Row("f:1", row)], intake):
            assert sample.context[-1].role == "speaker"
            assert sample.response
