from __future__ import annotations

from collections.abc import Callable
from typing import Any

FORMAT = "empathetic-dialogues"


def rows(conv_id: str, voices: str, first: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "conv_id": conv_id,
            "utterance_idx": str(i),
            "context": "sad",
            "prompt": "p",
            "speaker_idx": v,
            "utterance": f"u{i}",
        }
        for i, v in enumerate(voices, first)
    ]


def test_conversations_are_rows_that_follow_each_other(convert: Callable[..., Any]) -> None:
    samples, intake = convert(FORMAT, *rows("a", "0101"), *rows("b", "75"))
    assert [(s.dialogue_id, s.turn, s.response) for s in samples] == [("a", 1, "u2"), ("a", 3, "u4"), ("b", 1, "u2")]
    assert samples[0].category == "sad"
    assert not intake.repairs


def test_commas_are_written_out(convert: Callable[..., Any]) -> None:
    first, second = rows("a", "01")
    first["utterance"] = "Today_comma_ I won_comma_"
    [sample], _ = convert(FORMAT, first, second)
    assert sample.context[0].text == "Today, I won,"


def test_the_speaker_is_the_voice_of_odd_utterances(convert: Callable[..., Any]) -> None:
    samples, intake = convert(FORMAT, *rows("a", "8989", first=2))
    assert [(s.context[0].text, s.response) for s in samples] == [("u3", "u4")]
    assert intake.repairs == {"opening listener turns left out": 1, "last turns without a reply left out": 1}


def test_rows_out_of_order_are_put_in_order(convert: Callable[..., Any]) -> None:
    first, second, third, fourth = rows("a", "0101")
    samples, intake = convert(FORMAT, second, first, third, fourth)
    assert [s.response for s in samples] == ["u2", "u4"]
    assert intake.repairs == {"conversations put in order": 1}


def test_a_conversation_of_one_utterance_is_counted(convert: Callable[..., Any]) -> None:
    samples, intake = convert(FORMAT, *rows("a", "0"), *rows("b", "01"))
    assert len(samples) == 1
    assert intake.repairs == {"conversations of one utterance left out": 1}


def test_faults_are_bad_rows_at_their_place(convert: Callable[..., Any]) -> None:
    nameless = {**rows("", "0")[0]}
    third, endless = rows("c", "012"), rows("d", "01" * 1_500)
    samples, intake = convert(FORMAT, nameless, *rows("a", "01"), *third, *endless, *rows("e", "00"))
    assert [s.dialogue_id for s in samples] == ["a"]
    assert [(bad.place, bad.reason.split(":")[0]) for bad in intake.bad_rows] == [
        ("file:1", "'conv_id' is missing"),
        ("file:4", "a third voice '2' in 'speaker_idx'"),
        ("file:7", "conversation 'd' has over 2,000 rows"),
        ("file:3007", "no listener response"),
    ]
