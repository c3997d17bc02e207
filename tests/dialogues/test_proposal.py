from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import open_source
from efficient_empathy.dialogues.proposal import describe_columns, propose_options
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

ASK, REPLY = "I lost my keys again.", "That is annoying. Where were you last?"
CHAT = [{"role": "user", "content": ASK}, {"role": "assistant", "content": REPLY}]
TURNS = [("client", ASK), ("agent", REPLY)]
GERMAN = [("Ratsuchende", ASK), ("Helferin", REPLY)]
FROM = [{"from": "human", "value": ASK}, {"from": "gpt", "value": REPLY}]


def settings_of(options: str) -> ReadingSettings:
    """What the proposed options set, as a shell reads them."""
    columns: dict[str, str] = {}
    group_by = None
    words = iter(shlex.split(options))
    for flag in words:
        value = next(words)
        if flag == "--group-by":
            group_by = value
        else:
            target, _, name = value.partition("=")
            columns[target] = name
    return ReadingSettings(columns=columns, group_by=group_by)


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ([{"chat": CHAT, "topic": "keys"}], "--column messages=chat"),
        ([{"exchange": FROM}], "--column conversations=exchange"),
        ([{"lines": [ASK, REPLY]}], "--column dialogue=lines"),
        ([{"Question": ASK, "Answer": REPLY, "Id": 3}], "--column context=Question --column response=Answer"),
        ([{"bot_reply": REPLY, "user_text": ASK}], "--column context=user_text --column response=bot_reply"),
        ([{"left": ASK, "right": REPLY}], "--column context=left --column response=right"),
        ([{"User Query": ASK, "Reply": REPLY}], "--column 'context=User Query' --column response=Reply"),
        ([{"questionTitle": "Keys?", "questionText": ASK, "answerText": REPLY, "notes": "Lost and found."}],
         "--column context=questionText --column response=answerText"),
        ([{"q": "hi", "a": "hello"}], "--column context=q --column response=a"),
        ([{"case_no": n, "kind": role, "words": text} for n in (1, 2) for role, text in TURNS],
         "--group-by case_no --column role=kind --column content=words"),
        ([{"no": n, "body": f"### Human: {ASK}### Assistant: {REPLY}"} for n in (1, 2)], "--column text=body"),
        ([{"a1": CHAT, "a2": CHAT}], "--column messages=a1 or --column messages=a2"),
    ],
)  # fmt: skip
def test_the_mapping_that_fits_is_proposed_and_reads(
    rows: list[dict[str, Any]], options: str, write: Callable[..., Path]
) -> None:
    path = write("a.jsonl", rows)
    with pytest.raises(UserError) as refusal:
        open_source(path)
    assert str(refusal.value).endswith(f"if that is the dialogue, pass {options}")
    samples = list(open_source(path, settings_of(options.split(" or ")[0])))
    assert {sample.response for sample in samples} <= {REPLY, "hello"}
    assert samples


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ([{"chat": [{"role": "Ratsuchende", "content": ASK}, {"role": "Helferin", "content": REPLY}]}] * 2,
         "--column messages=chat"),
        ([{"fall": n, "who": who, "said": text} for n in (1, 2) for who, text in GERMAN],
         "--group-by fall --column role=who --column content=said"),
    ],
)  # fmt: skip
def test_voices_of_other_names_are_asked_for_next(
    rows: list[dict[str, Any]], options: str, write: Callable[..., Path]
) -> None:
    assert propose_options(rows) == options
    with pytest.raises(UserError, match=r"unknown role 'Ratsuchende' .* pass --role Ratsuchende=speaker"):
        list(open_source(write("a.jsonl", rows), settings_of(options)))


@pytest.mark.parametrize(
    "rows",
    [
        [{"one": ASK, "two": REPLY, "three": "And a third text."}],
        [{"score": 1, "model": "m-1"}],
        [{"text": ASK}],
        [{"turns_of_talk": [{"who": "Ann", "said": ASK}]}],
        [{"url": "https://example.org/a b", "date": "2024-01-02 10:00"}],
    ],
)
def test_where_nothing_fits_nothing_is_proposed(rows: list[dict[str, Any]]) -> None:
    assert propose_options(rows) is None


def test_columns_are_described_by_what_they_hold() -> None:
    row = {"id": 3, "ok": True, "text": ASK, "chat": CHAT, "talk": [{"who": "Ann"}], "lines": ["a"], "meta": {"k": 1}}
    assert describe_columns([row, {"late": None}]) == (
        "'id' (number), 'ok' (true or false), 'text' (text), 'chat' (list of objects with 'role', 'content'), "
        "'talk' (list of objects with 'who'), 'lines' (list of texts), 'meta' (object with 'k'), 'late' (empty)"
    )
