"""Exports as they were reported to go wrong elsewhere: what comes of each, told in counts and in its first turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from efficient_empathy.dialogues import ReadingSettings, inspect_source, open_source

CASES = Path(__file__).with_name("cases")
SYSTEM, TOOLS, CALLS = "system turns left out", "tool turns left out", "tool calls left out"
REJECTED, UNWANTED = "rejected replies left out", "replies not to train on, read as context"


@pytest.mark.parametrize(
    ("name", "format_name", "samples", "bad_rows", "repairs"),
    [
        ("kto-label-bool/kto.json", "messages", 12, 0, {}),
        ("kto-label-bool/kto_trl.jsonl", "completion", 6, 0, {}),
        ("tool-calls/developer_role.jsonl", "messages", 6, 0, {SYSTEM: 3}),
        ("tool-calls/openai_tools.jsonl", "messages", 8, 0, {SYSTEM: 1, TOOLS: 1, CALLS: 1}),
        ("tool-calls/sharegpt_tools.json", "sharegpt", 7, 0, {TOOLS: 2}),
        ("preference-pairs/dpo_sharegpt.json", "preference", 6, 0, {REJECTED: 6}),
        ("preference-pairs/hh_rlhf.jsonl", "preference", 12, 0, {REJECTED: 6}),
        ("preference-pairs/trl_dpo.jsonl", "preference", 6, 0, {REJECTED: 6}),
        ("preference-pairs/trl_prompt_completion.jsonl", "completion", 6, 0, {}),
        ("hh-prompt-string/full_hh.jsonl", "preference", 6, 0, {REJECTED: 6}),
        ("hh-prompt-string/user_assistant_lines.jsonl", "table", 6, 0, {}),
        ("image-placeholders/mllm.json", "messages", 6, 0, {"dialogues with images left out": 1}),
        ("content-parts/parts.jsonl", "messages", 4, 0, {"dialogues with images left out": 1, "reasoning left out": 1}),
        ("content-parts/sharegpt_bing.jsonl", "sharegpt", 6, 0, {"opening listener turns left out": 3}),
        ("content-parts/weight0.jsonl", "messages", 6, 0, {UNWANTED: 6}),
        ("dolly/dolly.jsonl", "table", 6, 0, {}),
        ("own-export-again/axolotl_train_field.jsonl", "messages", 6, 0, {UNWANTED: 6}),
        ("alpaca-system-history/alpaca.json", "alpaca", 6, 0, {SYSTEM: 6}),
        ("alpaca-system-history/label_in_instruction.jsonl", "alpaca", 1, 0, {"preambles left out": 1}),
        ("alpaca-system-history/odd_turns.jsonl", "messages", 1, 1, {
            "running turns merged": 3, "empty turns left out": 1, "last turns without a reply left out": 1,
        }),
    ],
)  # fmt: skip
def test_what_comes_of_each_case(
    name: str, format_name: str, samples: int, bad_rows: int, repairs: dict[str, int]
) -> None:
    inspection = inspect_source(CASES / name)
    assert (inspection.format, inspection.samples, inspection.bad_rows) == (format_name, samples, bad_rows)
    assert inspection.repairs == repairs


@pytest.mark.parametrize(
    "name",
    ["hh-prompt-string/full_hh.jsonl", "hh-prompt-string/user_assistant_lines.jsonl", "content-parts/weight0.jsonl"],
)
def test_no_turn_holds_a_conversation(name: str) -> None:
    for sample in open_source(CASES / name):
        assert [turn.role for turn in sample.context] == ["speaker", "listener", "speaker"]
        for text in (*(turn.text for turn in sample.context), sample.response):
            assert not {"Human:", "User:", "Assistant:"} & set(text.split())


def test_a_flag_is_the_side_and_no_category() -> None:
    inspection = inspect_source(CASES / "kto-label-bool" / "kto.json")
    assert (inspection.side_counts, inspection.category_counts) == ({"chosen": 3, "rejected": 3}, {})


@pytest.mark.parametrize("name", ["hh_rlhf.jsonl", "trl_dpo.jsonl", "dpo_sharegpt.json"])
def test_pairs_give_two_samples_in_one_place(name: str) -> None:
    source = open_source(CASES / "preference-pairs" / name, ReadingSettings(side="both"))
    pairs = [sample for sample in source if sample.side]
    assert len(pairs) == 12
    for chosen, rejected in zip(pairs[::2], pairs[1::2], strict=True):
        assert (chosen.side, rejected.side) == ("chosen", "rejected")
        assert (chosen.dialogue_id, chosen.turn, chosen.context) == (
            rejected.dialogue_id,
            rejected.turn,
            rejected.context,
        )
        assert chosen.response != rejected.response


def test_the_passage_of_an_instruction_is_never_a_turn_alone() -> None:
    for sample in open_source(CASES / "dolly" / "dolly.jsonl"):
        assert sample.context[0].text.startswith(("Who wrote the letter", "What should I say"))
