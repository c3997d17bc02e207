"""What two texts share, row by row, counted for all rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.tokens import Ragged

Counts = npt.NDArray[np.int64]
_WORD = 64


@dataclass(frozen=True)
class Shared:
    """What predictions and references have in common."""

    matches: Counts
    """Shape (rows, orders): n-grams of the prediction that the reference has too, each at most as often as there."""
    longest: Counts | None
    """Shape (rows,): the length of the longest common subsequence; None if not asked for."""


def shared(predictions: Ragged, references: Ragged, orders: int, *, subsequence: bool = False) -> Shared:
    """The clipped n-gram matches of orders 1 to `orders` (Papineni et al. 2002), and the longest common subsequence.

    An n-gram can only match where both (n-1)-grams in it do, so each order looks at what is left of the one before.
    """
    rows, split = len(predictions.lengths), len(predictions.ids)
    ids = np.concatenate((predictions.ids, references.ids)).astype(np.int64)
    text = np.concatenate((predictions.rows, references.rows + rows))
    width = int(ids.max(initial=0)) + 1
    positions = np.arange(len(ids))
    keys = text % max(1, rows) * width + ids
    matches = np.zeros((rows, orders), np.int64)
    longest = None
    for order in range(orders):
        grams, which = np.unique(keys, return_inverse=True)
        predicted = int(np.searchsorted(positions, split))
        clipped = np.minimum(
            np.bincount(which[:predicted], minlength=len(grams)), np.bincount(which[predicted:], minlength=len(grams))
        )
        row_of = np.empty(len(grams), np.int64)
        row_of[which] = text[positions] % max(1, rows)
        matches[:, order] = np.bincount(row_of, weights=clipped, minlength=rows)
        kept = clipped[which] > 0
        positions, which = positions[kept], which[kept]
        if order == 0 and subsequence:
            longest = _longest(which, text[positions], rows)
        if order + 1 < orders:
            follows = np.flatnonzero(np.diff(positions) == 1)
            follows = follows[text[positions[follows]] == text[positions[follows] + 1]]
            positions, which = positions[follows], which[follows]
            keys = which * width + ids[positions + order + 1]
    return Shared(matches, longest)


def _longest(tokens: Counts, text: Counts, rows: int) -> Counts:
    """The longest common subsequences of what occurs on both sides.

    `tokens` (shape (k,)) are numbered so that rows share none; `text` is the row of each, of references plus `rows`.
    All rows go forward together, one token of the prediction a step, the reference as the bits of one word (Hyyrö
    2004, "Bit-parallel LCS-length computation revisited"); a row with more than 64 such tokens goes by itself.
    """
    lengths = np.bincount(text, minlength=2 * rows)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    split = int(lengths[:rows].sum())
    of_predictions, of_references = lengths[:rows], lengths[rows:]
    place = np.arange(split, len(tokens)) - starts[text[split:]]
    masks = np.zeros(int(tokens.max(initial=-1)) + 1, np.uint64)
    fits = place < _WORD
    np.bitwise_or.at(masks, tokens[split:][fits], np.uint64(1) << place[fits].astype(np.uint64))
    order = np.argsort(-of_predictions, kind="stable")
    steps, begins = of_predictions[order], starts[:rows][order]
    state = np.full(rows, ~np.uint64(0))
    active = rows
    for step in range(int(steps.max(initial=0))):
        active = int(np.searchsorted(-steps[:active], -step, side="left"))
        now = state[:active]
        both = now & masks[tokens[begins[:active] + step]]
        state[:active] = (now + both) | (now - both)
    longest = np.empty(rows, np.int64)
    longest[order] = np.bitwise_count(~state)
    for row in np.flatnonzero(of_references > _WORD):
        at, to = starts[row], starts[row + rows]
        longest[row] = _by_itself(
            tokens[at : at + of_predictions[row]].tolist(), tokens[to : to + of_references[row]].tolist()
        )
    return longest


def _by_itself(prediction: list[int], reference: list[int]) -> int:
    masks: dict[int, int] = {}
    for place, token in enumerate(reference):
        masks[token] = masks.get(token, 0) | 1 << place
    every = (1 << len(reference)) - 1
    state = every
    for token in prediction:
        both = state & masks.get(token, 0)
        state = ((state + both) | (state - both)) & every
    return len(reference) - state.bit_count()
