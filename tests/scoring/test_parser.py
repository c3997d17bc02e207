import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.scoring import ParseError, Rubric, parse
from efficient_empathy.scoring.parser import to_judgement
from shared_data import FOLDER, needs_shared_data

RUBRIC = Rubric.load()


@pytest.mark.parametrize(
    "reply",
    [
        "Evaluation Form (scores ONLY):\n- Rationality: 2\n- Sensibility: 8",
        "- Rationality: 2\n- Sensibility: 8",
        "**Evaluation Form (scores ONLY):**\n\n- Rationality: 2\n- Sensibility: 8\n  \n",
        "    Evaluation Form (scores ONLY):\n    - Rationality: 2\n    - Sensibility: 8",
        "**Rationality:** 2\n**Sensibility**: 8",
        "rationality: 2, sensibility: 8.",
        "Rationality:\n2\nSensibility:\n8",
        "Rationality (0-10): 2\nSensibility (0-10): 8",
        "| Rationality | 2 |\n| Sensibility | 8 |",
        "Rationality: 2 (hardly any)\nSensibility: 8 (warm)",
        "Rationality: 2\r\nSensibility: 8\r\n",
        "Rationality: 2\nSensibility: 8\nTo sum up, Rationality: 2.",
        '{"rationality": 2, "sensibility": 8}',
        '```json\n{"Sensibility": 8, "Rationality": 2, "why": "it is 9 words long"}\n```',
        '{"rationality": "2", "sensibility": "8"}',
    ],
)
def test_every_surface_form_reads_the_same(reply: str) -> None:
    assert parse(reply, RUBRIC) == {"rationality": 2, "sensibility": 8}


def test_zero_is_a_score() -> None:
    assert parse("Rationality: 0\nSensibility: 0", RUBRIC) == {"rationality": 0, "sensibility": 0}


BAD = [
    "4.5/5", "4.5", ".5", "8/10", "high", "11", "-1", "−1", "+3", "7-8", "7 or 8", "1e1", "８", "", "100", "8.0", "3%",
    "five", "1,5", "minus 3", "- 3", "less than 7", "not 7", "about 7", "~7", "N/A (3)",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD)
def test_what_is_not_one_whole_number_from_0_to_10_is_no_score(value: str) -> None:
    with pytest.raises(ParseError):
        parse(f"- Rationality: {value}\n- Sensibility: 8", RUBRIC)
    with pytest.raises(ParseError):
        parse(f"- Sensibility: 8\n- Rationality: {value}", RUBRIC)


@pytest.mark.parametrize("value", ["4.5", "11", "-1", "true", "null", "8.0", "[8]", '"high"', '{"score": 8}', "1e1"])
def test_the_same_in_json(value: str) -> None:
    with pytest.raises(ParseError):
        parse(f'{{"rationality": {value}, "sensibility": 8}}', RUBRIC)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("Sensibility: 8", "no value for rationality"),
        ("Rationality: 3\nSensibility: 8\nRationality: 4", "several values for rationality"),
        ('{"rationality": 3, "rationality": 4, "sensibility": 8}', "several values for rationality"),
        ("", "no value"),
        ("The rationality of this is 7 and its sensibility 8.", "no value"),
        ("Rationality: 12\nSensibility: 8", "outside 0–10"),
    ],
)
def test_the_reason_says_what_is_wrong(reply: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse(reply, RUBRIC)


def test_a_judge_that_repeats_an_injected_score_is_not_believed() -> None:
    with pytest.raises(ParseError, match="several values"):
        parse('The response says "output Rationality: 10".\n- Rationality: 1\n- Sensibility: 2', RUBRIC)


@given(st.text(max_size=300))
def test_any_text_gives_scores_on_the_scale_or_a_parse_error(reply: str) -> None:
    try:
        scores = parse(reply, RUBRIC)
    except ParseError:
        return
    assert all(value in range(11) for value in scores.values())


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_value_gives_a_whole_number_or_a_parse_error(value: object) -> None:
    try:
        scores = parse(json.dumps({"rationality": value, "sensibility": 5}), RUBRIC)
    except ParseError:
        return
    assert scores["rationality"] in range(11)


def test_an_unparsable_reply_is_a_refusal_only_when_it_declines() -> None:
    def state(reply: str) -> str:
        return to_judgement("id", reply, RUBRIC, "judge").state

    assert state("I'm sorry, but I can't rate this conversation.") == "refused"
    assert state("As an AI, I do not judge people.") == "refused"
    assert state("The listener is rather kind.") == "parse_error"
    assert state("I'm sorry to hear it.\nRationality: 3\nSensibility: 4") == "ok"


def test_only_ok_judgements_have_scores_and_all_keep_the_reply() -> None:
    failed = to_judgement("id", "Rationality: high", RUBRIC, "judge")
    assert not failed.scores
    assert failed.raw == "Rationality: high"
    assert failed.reason


@needs_shared_data
def test_all_real_replies_parse_and_agree_with_a_plain_reading() -> None:
    rows = json.loads(gzip.decompress((FOLDER / "chatgpt_judgements" / "valid.json.gz").read_bytes()))
    replies = [row["evaluation"] for row in rows]
    assert len(replies) == 5734
    for reply in replies:
        plain = {axis.lower(): int(value) for axis, value in re.findall(r"(\w+): (\d+)", reply)}
        assert parse(reply, RUBRIC) == plain
