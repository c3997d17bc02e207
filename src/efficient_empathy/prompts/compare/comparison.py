"""The comparison of two sides: from their scores to the record that `comparison.json` holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.prompts.compare.figures import (
    SharedSamples,
    WatchedSubsets,
    axis_figures,
    distances,
    shared_samples,
)
from efficient_empathy.prompts.compare.records import (
    Cost,
    DifferingSample,
    Piece,
    PromptComparisonRecord,
    PromptDiff,
    SampleCounts,
    Sampling,
    SideReading,
    SideRecord,
    Turn,
    WatchedPolicy,
)
from efficient_empathy.prompts.compare.sides import LABELS, Side
from efficient_empathy.scoring import STATES, Ledger
from efficient_empathy.scoring.judges.registry import reads_rubric
from efficient_empathy.scoring.rubric import prompt_text
from efficient_empathy.selection.shares import tie_hash

MOST_WORDS = 10_000
"""Of each text: what is beyond is left out, since the time grows with the product of both lengths."""
ISLAND = 2
"""Shared words between two changes that count as changed."""
_WORD = re.compile(r"\s*\S+")
LONGEST_RUN = 60
"""Runs of more unchanged words than this are shown by their ends, `_ENDS` words each."""
_ENDS = 25
TEXT = 560
"""Characters of a turn or a reply that are kept: with the mark of what is cut, not more than the page shows whole."""
TURNS = 20
REASONS = 5
"""Reasons of failure by side."""
REASON = 300
"""Characters of each."""
_COSTS = ("requests", "prompt_tokens", "completion_tokens", "cost_usd", "latency_s")


def compare_sides(
    a: Side, b: Side, policy: WatchedPolicy | None, sampling: Sampling, *, examples: int
) -> PromptComparisonRecord:
    """The comparison of two sides; subsets are those that the policy makes of what they share.

    Raises `UserError` where nothing can be compared.
    """
    pairs = shared_samples(a, b)
    subsets, fault = _subsets(pairs, policy, a)
    places = subsets.subsets_by_side() if subsets else {}
    differing, rest = _differing(a, b, pairs, places, examples)
    return PromptComparisonRecord(
        a=_about(a, pairs),
        b=_about(b, pairs),
        samples=SampleCounts(
            a=len(a.scores),
            b=len(b.scores),
            in_both=len(pairs.in_both),
            compared=len(pairs.a),
            dialogues=len(set(pairs.clusters)),
        ),
        axes={axis.name: axis_figures(pairs, axis, sampling) for axis in pairs.axes},
        policy=policy if subsets else None,
        subsets=subsets.comparison(sampling) if subsets else None,
        maps=subsets.maps() if subsets else (),
        prompts=_prompts(a, b),
        differences=tuple(differing),
        differences_left=rest,
        notes=(*_notes(a, b, pairs), *([fault] if fault else [])),
        intervals=sampling,
    )


def _subsets(pairs: SharedSamples, policy: WatchedPolicy | None, side: Side) -> tuple[WatchedSubsets | None, str]:
    """The subsets, or the sentence on why there are none."""
    if policy is None:
        return None, "There are no subsets: no policy was named, and paper looks at other axes than these."
    try:
        return WatchedSubsets(pairs, policy, side.samples), ""
    except UserError as error:
        return None, f"There are no subsets of what both sides score: {error}."


def _about(side: Side, pairs: SharedSamples) -> SideRecord:
    states = Counter(side.scores["state"].fill_null("not judged").to_list())
    failures = side.scores.filter(pl.col("state") != "ok")["sample_id"].to_list()
    reasons, cost = _ledger_facts(side, failures, pairs.in_both)
    return SideRecord(
        name=side.name,
        judge=redact(side.judge),
        panel=side.panel,
        rubric=side.rubric,
        states={state: states.get(state, 0) for state in (*STATES, "not judged")},
        reasons=reasons,
        cost=cost,
    )


def _ledger_facts(side: Side, failures: list[str], in_both: frozenset[str]) -> tuple[dict[str, int], Cost | None]:
    """The reasons of failure, and the cost of the samples that both sides were given, failed attempts included.

    Cost is None where no ledger tells.
    """
    if not side.ledger.exists():
        return {}, None
    with Ledger(side.ledger, read_only=True) as ledger:
        reasons = Counter(one.reason[:REASON] for one in side.panel.answers(ledger, failures).values())
        every = (one for spec in side.panel.specs for one in ledger.judgements(spec))
        costs = [[getattr(one, name) for name in _COSTS] for one in every if one.sample_id in in_both]
    sums = dict(zip(_COSTS, (round(sum(column), 6) for column in zip(*costs, strict=True)), strict=bool(costs)))
    cost = Cost(**sums, judgements=len(costs)) if costs else None
    return dict(reasons.most_common(REASONS)), cost


def _differing(
    a: Side, b: Side, pairs: SharedSamples, places: Mapping[str, list[str]], most: int
) -> tuple[list[DifferingSample], int]:
    """The samples that change subset, and then those whose scores differ, the farthest first; and how many more."""
    apart = distances(pairs)
    changes = np.array([x != y for x, y in zip(*places.values(), strict=True)]) if places else apart > np.inf
    order = np.lexsort((tie_hash(pairs.a["sample_id"], 0), -apart, ~changes))
    differing = [int(row) for row in order if changes[row] or apart[row] > 0]
    choice = differing[:most]
    ids = pairs.a["sample_id"].gather(choice).to_list()
    replies = [side.replies(ids) for side in (a, b)]
    samples = pl.concat([side.samples.filter(pl.col("sample_id").is_in(ids)) for side in (b, a)])
    rows = {row["sample_id"]: row for row in samples.sort(pl.col("response") != "").iter_rows(named=True)}
    examples = []
    for row, sample_id in zip(choice, ids, strict=True):
        readings = {
            label: SideReading(
                scores={axis.name: round(frame[axis.name][row], 3) for axis in pairs.axes},
                subset=places[label][row] if places else None,
                raw=_clip_text(raw.get(sample_id, "")),
            )
            for label, frame, raw in zip(LABELS, (pairs.a, pairs.b), replies, strict=True)
        }
        examples.append(_example(Sample.from_row(rows[sample_id]), bool(changes[row]), readings))
    return examples, len(differing) - len(choice)


def _example(sample: Sample, changed: bool, readings: Mapping[str, SideReading]) -> DifferingSample:
    start = max(0, len(sample.context) - TURNS)
    return DifferingSample(
        sample_id=sample.id,
        category=clip(sample.category, 100) if sample.category else None,
        omitted_turns=start,
        context=tuple(Turn(role=turn.role, text=_clip_text(turn.text)) for turn in sample.context[start:]),
        response=_clip_text(sample.response),
        changed=changed,
        a=readings["a"],
        b=readings["b"],
    )


def _clip_text(text: str) -> str:
    return clip(text, TEXT)


def _prompts(a: Side, b: Side) -> PromptDiff | None:
    """The word diff of the prompts; None where the text of a rubric is not at hand."""
    if a.prompt is None or b.prompt is None:
        return None
    first, second = (prompt_text(side.prompt, as_json=_as_json(side)) for side in (a, b) if side.prompt)
    return diff_prompts(first, second)


def _as_json(side: Side) -> bool:
    return side.panel.specs[0].settings.get("reply") != "text"


def _notes(a: Side, b: Side, pairs: SharedSamples) -> list[str]:
    """What a reader has to know of the figures, in sentences."""
    notes = []
    common = {axis.name for axis in pairs.axes}
    for label, side, frame in zip("AB", (a, b), (pairs.a, pairs.b), strict=True):
        alone = [f"{axis.name} {axis.low}–{axis.high}" for axis in side.axes if axis.name not in common]
        if alone:
            notes.append(f"Only {label} scores {', '.join(alone)}: that is not compared.")
        if side.prompt is None:
            notes.append(
                f"The text of {label}’s rubric is not at hand, so the prompts are not compared: put its YAML file "
                f"(hash {side.rubric.hash or 'unknown'}) into the current folder."
            )
        if not any(reads_rubric(spec.judge) for spec in side.panel.specs):
            notes.append(f"{label} is the {side.panel.specs[0].judge} judge, which reads no prompt.")
        if any((frame[axis.name] % 1 > 0).any() for axis in pairs.axes):
            notes.append(
                f"Scores of {label} are no whole numbers (expectations or means), so hardly any is exactly the "
                "other’s; matrices count them at the nearest whole one."
            )
    in_both = len(pairs.in_both)
    if in_both > len(pairs.a):
        notes.append(
            f"{in_both - len(pairs.a):,} of {in_both:,} samples have no scores of one side or both and count nowhere."
        )
    if a.panel.specs == b.panel.specs:
        notes.append("A and B were judged under the same key (rubric, model, decoding): they are repeats.")
    return notes


def diff_prompts(first: str, second: str) -> PromptDiff:
    """What turns the text of one prompt into another's, word by word, up to `MOST_WORDS` of each."""
    pieces = word_diff(first, second)
    words: Counter[str] = Counter()
    for piece in pieces:
        words[piece.kind] += piece.words
    rest = sum(max(0, len(text.split()) - MOST_WORDS) for text in (first, second))
    return PromptDiff(
        same=words["same"], removed=words["removed"], added=words["added"], left_out=rest, diff=tuple(pieces)
    )


class ShownPiece(NamedTuple):
    """A piece as pages show it: the white space before it, its text, and how many words are left out before `after`."""

    kind: str
    space: str
    text: str
    omitted_words: int = 0
    after: str = ""


def shown_pieces(pieces: Iterable[Piece]) -> Iterator[ShownPiece]:
    """The pieces, with the middle of long unchanged runs left out."""
    for kind, text, words in pieces:
        bare = text.lstrip()
        space = text[: len(text) - len(bare)]
        if kind != "same" or words <= LONGEST_RUN:
            yield ShownPiece(kind, space, bare)
            continue
        spans = [match.span() for match in _WORD.finditer(bare)]
        start, end = spans[_ENDS - 1][1], spans[-_ENDS][0]
        yield ShownPiece(kind, space, bare[:start], words - 2 * _ENDS, bare[end:])


def word_diff(first: str, second: str) -> list[Piece]:
    """The pieces that turn `first` into `second`, in order; words are what stands between white space.

    White space alone is no difference: where words are the same, it is shown as in `second`. A shared word or two
    between changes counts as changed, as a reader would mark it.
    """
    a, b = ([*_WORD.findall(text)[:MOST_WORDS]] for text in (first, second))
    matcher = SequenceMatcher(None, [word.strip() for word in a], [word.strip() for word in b], autojunk=False)
    return [piece for spans in _join_steps(matcher) for piece in _pieces(a, b, *spans)]


def _join_steps(matcher: SequenceMatcher[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """The matcher's steps as (same, from and to in the first, from and to in the second), small islands taken in."""
    steps = [(tag == "equal", a0, a1, b0, b1) for tag, a0, a1, b0, b1 in matcher.get_opcodes()]
    span: tuple[bool, int, int, int, int] | None = None
    for place, (equal, a0, a1, b0, b1) in enumerate(steps):
        inside = 0 < place < len(steps) - 1
        same = equal and not (inside and a1 - a0 <= ISLAND)
        if span is not None and span[0] == same:
            span = (same, span[1], a1, span[3], b1)
            continue
        if span is not None:
            yield span
        span = (same, a0, a1, b0, b1)
    if span is not None:
        yield span


def _pieces(a: list[str], b: list[str], same: bool, a0: int, a1: int, b0: int, b1: int) -> Iterator[Piece]:
    if same:
        yield Piece("same", "".join(b[b0:b1]), b1 - b0)
        return
    if a1 > a0:
        yield Piece("removed", "".join(a[a0:a1]), a1 - a0)
    if b1 > b0:
        yield Piece("added", "".join(b[b0:b1]), b1 - b0)
