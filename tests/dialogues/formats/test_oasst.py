from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

Convert = Callable[..., Any]


def tree(role: str, text: str, *replies: dict[str, Any], rank: float | None = None, **more: Any) -> dict[str, Any]:
    return {"message_id": text, "role": role, "text": text, "rank": rank, "replies": list(replies), **more}


PROMPT = tree(
    "prompter",
    "My cat died.",
    tree("assistant", "Get another.", rank=1),
    tree(
        "assistant",
        "I am so sorry.",
        tree("prompter", "She was old.", tree("assistant", "Still."), rank=0),
        tree("prompter", "Thanks.", rank=1),
        rank=0,
    ),
    tree("assistant", "Spam!", tree("prompter", "What?"), rank=None, deleted=True),
    tree("assistant", "Rude.", review_result=False),
)


def flat(message: dict[str, Any], parent: str | None = None) -> list[dict[str, Any]]:
    own = {key: value for key, value in message.items() if key != "replies"}
    rows = [{**own, "parent_id": parent, "message_tree_id": "t1", "lang": "en"}]
    return rows + [row for reply in message["replies"] for row in flat(reply, message["message_id"])]


def texts(sample: Any) -> list[str]:
    return [*(turn.text for turn in sample.context), sample.response]


def check(samples: list[Any], intake: Any) -> None:
    assert [texts(sample) for sample in samples] == [
        ["My cat died.", "I am so sorry."],
        ["My cat died.", "I am so sorry.", "She was old.", "Still."],
    ]
    assert {sample.dialogue_id for sample in samples} == {"t1"}
    assert intake.repairs == {
        "messages of lower rank left out": 2,
        "deleted or rejected messages and their answers left out": 3,
    }


def test_the_path_of_best_rank_is_the_conversation(convert: Convert) -> None:
    check(*convert("oasst", {"message_tree_id": "t1", "tree_state": "ready_for_export", "prompt": PROMPT}))


def test_flat_messages_may_come_in_any_order_and_between_others(convert: Convert) -> None:
    other = [{**row, "message_tree_id": "t2"} for row in flat(PROMPT)]
    for seed in range(5):
        rows = flat(PROMPT) + other
        random.Random(seed).shuffle(rows)
        samples, intake = convert("oasst", *rows)
        assert len(samples) == 4
        assert not intake.bad_rows
    check(*convert("oasst", *reversed(flat(PROMPT))))


def test_without_ranks_the_first_reply_is_read(convert: Convert) -> None:
    replies = [tree("assistant", "One.", rank=float("nan")), tree("assistant", "Two.")]
    [sample], _ = convert("oasst", {"prompt": tree("prompter", "Hi.", *replies)})
    assert sample.response == "One."


def test_a_deleted_prompt_gives_nothing_and_is_counted(convert: Convert) -> None:
    samples, intake = convert("oasst", {"prompt": {**PROMPT, "deleted": True}})
    assert (samples, intake.bad_rows) == ([], [])
    assert intake.repairs == {"deleted or rejected messages and their answers left out": 9}


ROOT, ANSWER = flat(tree("prompter", "Hi.", tree("assistant", "Hello.")))

CIRCLE = [{**ANSWER, "message_id": "x", "parent_id": "y"}, {**ANSWER, "message_id": "y", "parent_id": "x"}]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([ANSWER], "the message 'Hello.' answers 'Hi.', which is not in the file: take the whole tree"),
        ([ROOT, ANSWER, ANSWER], "the message 'Hello.' comes twice"),
        ([ROOT, ANSWER, {**ROOT, "message_id": "x"}], "a tree with 2 first messages"),
        ([ROOT, ANSWER, *CIRCLE], "runs in a circle"),
        ([ROOT, {**ANSWER, "message_id": None}], "'message_id' is missing"),
        ([{**ROOT, "message_tree_id": None}], "'message_tree_id', which names the conversation, is empty"),
        ([ROOT, {**ANSWER, "role": "robot"}], "unknown role 'robot'"),
        ([{"prompt": {"text": "a", "role": "prompter", "replies": [3]}}], "'replies' holds '3', not a message"),
    ],
)  # fmt: skip
def test_a_broken_tree_is_a_bad_row(convert: Convert, rows: list[dict[str, Any]], reason: str) -> None:
    samples, intake = convert("oasst", *rows)
    assert samples == []
    assert reason in intake.bad_rows[0].reason
