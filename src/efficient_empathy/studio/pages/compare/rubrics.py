"""The rubrics of runs and of the package, and what their prompts have in common, word by word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.prompts.compare.comparison import MOST_WORDS, sent, word_diff
from efficient_empathy.prompts.listing import known_rubrics
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.studio.pages.compare.facts import ABSENT, Fact, Section

UNCHANGED = 60
"""Runs of more unchanged words than this are shown by their ends."""
_ENDS = 25
_WORD = re.compile(r"\s*\S+")


class Shown(NamedTuple):
    """A run of words, with the middle of a long unchanged one left out: `left` words stand between text and after."""

    kind: str
    text: str
    left: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns one rubric's prompt into another's: pieces, and how many words are same, removed and added.

    `cut` are the words of both that were too many to compare.
    """

    pieces: list[Shown]
    words: dict[str, int]
    cut: int

    @property
    def same(self) -> bool:
        """Whether the prompts have the same words."""
        return not self.words["removed"] and not self.words["added"] and not self.cut


def rubrics_of(runs: Iterable[Path]) -> dict[str, Rubric]:
    """By hash, the rubrics of the package and of the YAML files in the runs' folders and their `rubrics/`."""
    return known_rubrics([folder for root in runs for folder in (root, root / "rubrics")])


def difference(first: Rubric, second: Rubric) -> Difference:
    """The prompts as they are sent, with marks where the dialogue stands, word by word."""
    texts = sent(first), sent(second)
    pieces = word_diff(*texts)
    words: Counter[str] = Counter()
    for piece in pieces:
        words[piece.kind] += piece.words
    cut = sum(max(0, len(text.split()) - MOST_WORDS) for text in texts)
    return Difference(
        [_shortened(piece.kind, piece.text, piece.words) for piece in pieces],
        {kind: words[kind] for kind in ("same", "removed", "added")},
        cut,
    )


def rubric_facts(rubrics: Sequence[Rubric]) -> list[Section]:
    """Names, versions and scales side by side; what a reader of the diff does not see at once."""
    rows = {
        "name": [clip(rubric.name, 120) for rubric in rubrics],
        "version": [str(rubric.version) for rubric in rubrics],
        "hash": [rubric.hash for rubric in rubrics],
        "reply form": [clip(rubric.reply_title, 120) for rubric in rubrics],
        "words of the prompt": [f"{len(sent(rubric).split()):,}" for rubric in rubrics],
    }
    names = dict.fromkeys(axis.name for rubric in rubrics for axis in rubric.axes)
    for name in names:
        axes = [next((axis for axis in rubric.axes if axis.name == name), None) for rubric in rubrics]
        rows[f"scale of {name}"] = [f"{axis.scale[0]}–{axis.scale[1]}" if axis else "" for axis in axes]
        rows[f"anchors of {name}"] = [f"{len(axis.anchors)} of {len(axis.values)}" if axis else "" for axis in axes]
    facts = tuple(
        Fact(name, tuple(value or ABSENT for value in values), len(set(values)) > 1) for name, values in rows.items()
    )
    return [Section("Rubric", facts, (True,) * len(rubrics))]


def _shortened(kind: str, text: str, words: int) -> Shown:
    if kind != "same" or words <= UNCHANGED:
        return Shown(kind, text)
    spans = [match.span() for match in _WORD.finditer(text)]
    return Shown(kind, text[: spans[_ENDS - 1][1]], words - 2 * _ENDS, text[spans[-_ENDS][0] :])
