"""`comparison.json`: what two sides come to, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.foundation.redaction import redact
from efficient_empathy.prompts.compare.figures import (
    Shared,
    axis_figures,
    distances,
    grid_figures,
    shared_samples,
    subset_figures,
)
from efficient_empathy.prompts.compare.sides import LABELS, Side
from efficient_empathy.prompts.compare.word_diff import MOST_WORDS, word_diff
from efficient_empathy.scoring import STATES, Ledger, Rubric
from efficient_empathy.scoring.judges.registry import reads_rubric
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.ties import tie_hash

FORMAT = 1
TEXT = 560
"""Characters of a turn or a reply that are kept: with the mark of what is cut, not more than the page shows whole."""
TURNS = 20
REASONS = 5
"""Reasons of failure by side."""
REASON = 300
"""Characters of each."""
_COSTS = ("requests", "prompt_tokens", "completion_tokens", "cost_usd", "latency_s")


def record_of(a: Side, b: Side, policy: GridPolicy, sampling: Mapping[str, Any], *, shown: int) -> dict[str, Any]:
    """The comparison: `{format, a, b, samples, axes, subsets, grid, prompts, differences, differences_left, notes}`.

    `a` and `b` say what each side is, its states, reasons of failure and cost; figures are of the samples that both
    scored. `subsets` and `grid` are None where policies cannot decide on what is shared. Raises `UserError` where
    nothing can be compared.
    """
    shared = shared_samples(a, b)
    sides = {label: _about(side, shared) for label, side in zip(LABELS, (a, b), strict=True)}
    subsets = subset_figures(shared, policy, sampling) if shared.selectable else None
    placed = subsets.pop("labels") if subsets else {}
    differing, left = _differing(a, b, shared, placed, shown)
    return {
        "format": FORMAT,
        **sides,
        "samples": {
            "a": len(a.scores), "b": len(b.scores), "in_both": len(shared.in_both), "compared": len(shared.a),
            "dialogues": len(set(shared.clusters)),
        },
        "axes": {axis.name: axis_figures(shared, axis, sampling) for axis in shared.axes},
        "thresholds": policy.parameters(),
        "subsets": subsets,
        "grid": grid_figures(shared, policy) if shared.selectable else None,
        "prompts": _prompts(a, b),
        "differences": differing,
        "differences_left": left,
        "notes": _notes(a, b, shared),
        "intervals": dict(sampling),
    }  # fmt: skip


def _about(side: Side, shared: Shared) -> dict[str, Any]:
    states = Counter(side.scores["state"].fill_null("not judged").to_list())
    failed = side.scores.filter(pl.col("state") != "ok")["sample_id"].to_list()
    return {
        "name": side.name,
        "judge": redact(side.judge),
        "spec": side.spec,
        "rubric": {**side.rubric, "axes": {axis.name: [axis.low, axis.high] for axis in side.axes}},
        "states": {state: states.get(state, 0) for state in (*STATES, "not judged")},
        **_told(side, failed, shared.in_both),
    }


def _told(side: Side, failed: list[str], in_both: frozenset[str]) -> dict[str, Any]:
    """`reasons` of failure, and the `cost` of the samples that both sides were given, failed attempts included:
    requests, tokens, dollars, seconds in all and on average. Cost is None where no ledger tells."""
    if not side.ledger.exists():
        return {"reasons": {}, "cost": None}
    with Ledger(side.ledger, read_only=True) as ledger:
        reasons = Counter(one.reason[:REASON] for one in side.panel.answers(ledger, failed).values())
        every = (one for spec in side.panel.specs for one in ledger.judgements(spec))
        paid = [[getattr(one, name) for name in _COSTS] for one in every if one.sample_id in in_both]
    sums = [round(sum(column), 6) for column in zip(*paid, strict=True)]
    cost = {**dict(zip(_COSTS, sums, strict=True)), "judgements": len(paid)} if paid else None
    return {"reasons": dict(reasons.most_common(REASONS)), "cost": cost}


def _differing(
    a: Side, b: Side, shared: Shared, placed: Mapping[str, list[str]], most: int
) -> tuple[list[dict[str, Any]], int]:
    """The samples that change subset, and then those whose scores differ, the farthest first; and how many more."""
    apart = distances(shared)
    changed = np.array([x != y for x, y in zip(*placed.values(), strict=True)]) if placed else apart > np.inf
    order = np.lexsort((tie_hash(shared.a["sample_id"], 0), -apart, ~changed))
    differing = [int(row) for row in order if changed[row] or apart[row] > 0]
    chosen = differing[:most]
    ids = shared.a["sample_id"].gather(chosen).to_list()
    replies = [side.replies(ids) for side in (a, b)]
    known = pl.concat([side.samples.filter(pl.col("sample_id").is_in(ids)) for side in (b, a)])
    rows = {row["sample_id"]: row for row in known.sort(pl.col("response") != "").iter_rows(named=True)}
    found = []
    for row, sample_id in zip(chosen, ids, strict=True):
        told = {
            label: {
                "scores": {axis.name: round(frame[axis.name][row], 3) for axis in shared.axes},
                "subset": placed[label][row] if placed else None,
                "raw": _clipped(known.get(sample_id, "")),
            }
            for label, frame, known in zip(LABELS, (shared.a, shared.b), replies, strict=True)
        }
        found.append({**_dialogue(Sample.from_row(rows[sample_id])), "changed": bool(changed[row]), **told})
    return found, len(differing) - len(chosen)


def _dialogue(sample: Sample) -> dict[str, Any]:
    omitted = max(0, len(sample.context) - TURNS)
    return {
        "sample_id": sample.id,
        "category": clip(sample.category, 100) if sample.category else None,
        "omitted_turns": omitted,
        "context": [{"role": turn.role, "text": _clipped(turn.text)} for turn in sample.context[omitted:]],
        "response": _clipped(sample.response),
    }


def _clipped(text: str) -> str:
    return clip(text, TEXT)


def _prompts(a: Side, b: Side) -> dict[str, Any] | None:
    """`{same, removed, added, diff}`: words, and the pieces of the diff as [kind, text, words]; None where the text of
    a rubric is not at hand."""
    if a.prompt is None or b.prompt is None:
        return None
    first, second = (sent(side.prompt, as_json=_asked_in_json(side)) for side in (a, b) if side.prompt)
    pieces = word_diff(first, second)
    words: Counter[str] = Counter()
    for piece in pieces:
        words[piece.kind] += piece.words
    left = [max(0, len(text.split()) - MOST_WORDS) for text in (first, second)]
    return {**{kind: words[kind] for kind in ("same", "removed", "added")}, "left_out": sum(left),
            "diff": [list(piece) for piece in pieces]}  # fmt: skip


def _asked_in_json(side: Side) -> bool:
    return side.panel.specs[0].settings.get("reply") != "text"


def sent(rubric: Rubric, *, as_json: bool = True) -> str:
    """The messages of a rubric as they are sent, with marks where the dialogue stands."""
    blank = Sample.of([Utterance("speaker", "[the dialogue so far]")], "[the response]")
    messages = rubric.messages(blank, as_json=as_json)
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


def _notes(a: Side, b: Side, shared: Shared) -> list[str]:
    """What a reader has to know of the figures, in sentences."""
    notes = []
    compared = {axis.name for axis in shared.axes}
    for label, side, frame in zip("AB", (a, b), (shared.a, shared.b), strict=True):
        alone = [f"{axis.name} {axis.low}–{axis.high}" for axis in side.axes if axis.name not in compared]
        if alone:
            notes.append(f"Only {label} scores {', '.join(alone)}: that is not compared.")
        if side.prompt is None:
            notes.append(
                f"The text of {label}’s rubric is not at hand, so the prompts are not compared: put its YAML file "
                f"(hash {side.rubric.get('hash') or 'unknown'}) into the current folder."
            )
        if not any(reads_rubric(spec.judge) for spec in side.panel.specs):
            notes.append(f"{label} is the {side.panel.specs[0].judge} judge, which reads no prompt.")
        if any((frame[axis.name] % 1 > 0).any() for axis in shared.axes):
            notes.append(
                f"Scores of {label} are no whole numbers (expectations or means), so hardly any is exactly the "
                "other’s; matrices count them at the nearest whole one."
            )
    if not shared.selectable:
        notes.append("There are no subsets: policies need sensibility and rationality from 0 to 10 on both sides.")
    given = len(shared.in_both)
    if given > len(shared.a):
        notes.append(
            f"{given - len(shared.a):,} of {given:,} samples have no scores of one side or both and count nowhere."
        )
    if a.panel.specs == b.panel.specs:
        notes.append("A and B were judged under the same key (rubric, model, decoding): they are repeats.")
    return notes
