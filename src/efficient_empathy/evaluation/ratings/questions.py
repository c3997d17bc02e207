"""What raters are asked, in the words that they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Task = Literal["likert", "ab"]
SCALE = (1, 2, 3, 4, 5)
CHOICES = ("left", "tie", "right")


@dataclass(frozen=True)
class Question:
    """One question: its column, its words, and for a rating what the ends of the scale mean."""

    name: str
    text: str
    low: str = ""
    high: str = ""


DIMENSIONS = (
    Question(
        "coherence",
        "Does the response fit the conversation and make sense?",
        "it is off the topic, contradicts what was said, or cannot be understood",
        "it fits what was said fully and reads naturally",
    ),
    Question(
        "empathy",
        "Does the response show that the listener understands how the speaker feels and cares?",
        "it ignores or dismisses the speaker's feelings",
        "it names or takes up the feelings and what caused them, warmly",
    ),
    Question(
        "informativeness",
        "Does the response say something specific and useful?",
        "it would fit any conversation",
        "it brings thoughts, facts, suggestions or questions that belong to this one",
    ),
    Question(
        "continuity",
        "Does the response make the speaker want to go on talking?",
        "it ends the conversation",
        "it invites the speaker to go on",
    ),
)
"""The four dimensions that the paper lets people rate 1–5."""
OVERALL = (Question("better", "Which of the two is the better response to the speaker, all in all?"),)
"""What an A/B comparison asks by default."""
BY_DIMENSION = (
    Question("coherence", "Which of the two fits the conversation better and makes more sense?"),
    Question("empathy", "Which of the two shows more understanding of how the speaker feels, and more care?"),
    Question("informativeness", "Which of the two says more that is specific and useful?"),
    Question("continuity", "Which of the two makes the speaker want more to go on talking?"),
)


def comparing(by_dimension: bool) -> tuple[Question, ...]:
    """The questions of an A/B comparison: one for all in all, or the four dimensions, as the released code has it."""
    return BY_DIMENSION if by_dimension else OVERALL


def instructions(tasks: Sequence[Task], questions: Sequence[Question]) -> list[str]:
    """What a rater reads first, a line a paragraph."""
    lines = [
        "Thank you for rating.",
        "Each row has a conversation between a speaker, who tells of something, and a listener. Please read it whole, "
        "then judge what the listener might say next.",
        "Judge each row by itself, in the given order. Rows may resemble one another: that is intended. There are no "
        "right answers; please do not talk about the rows with other raters before everyone is done.",
        "Fill in the empty columns (in a workbook: the coloured cells). Leave a cell empty if you cannot judge. Please "
        "change nothing else: do not rename or delete columns, do not alter texts. A remark may go into the column "
        "comment.",
    ]
    if "likert" in tasks:
        lines += ["", "Ratings: a whole number from 1 to 5 in each of these columns."]
        lines += [f"{one.name}: {one.text} 1 = {one.low}; 5 = {one.high}." for one in DIMENSIONS]
    if "ab" in tasks:
        lines += ["", "Comparisons: two responses, left and right. Write left, right, or tie if neither is better."]
        lines += [f"{one.name}: {one.text}" for one in questions]
    return lines
