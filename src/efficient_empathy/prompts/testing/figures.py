"""What a test of a golden set measures: closeness to a reference, repeatability, the subsets that samples change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.closeness import closeness
from efficient_empathy.foundation.statistics.measured import Floats, finite, six_decimals
from efficient_empathy.prompts.testing.checks import Interval, Reference, Setting
from efficient_empathy.prompts.testing.readings import NONE, Codes, Expectations, Readings, WatchedRules, pairs_alike
from efficient_empathy.prompts.testing.records import Ends, Flow, SubsetChanges

Which = npt.NDArray[np.bool_]
Scales = Mapping[str, Sequence[int]]


def close(now: Readings, before: Reference, scales: Scales, setting: Setting) -> dict[str, dict[str, list[float]]]:
    """By axis, the figures of `statistics.closeness`, each as `[value, low, high]`.

    Every reading is held against what was expected of its item, which inside a range is the score itself; or against
    the earlier judging's reading in the same round. Intervals are over dialogues.
    """
    if isinstance(before, Readings):
        rounds = min(now.scores.shape[1], before.scores.shape[1])
        mine, theirs = now.scores[:, :rounds], before.scores[:, :rounds]
    else:
        mine, theirs = now.scores, before.nearest(now.scores)
    clusters = np.repeat(np.array(setting.dialogues), mine.shape[1])
    return {
        axis: {
            name: list(figure)
            for name, figure in closeness(
                theirs[:, :, a].ravel(),
                mine[:, :, a].ravel(),
                scale=tuple(scales[axis]),
                clusters=clusters.tolist(),
                seed=setting.seed,
                confidence=setting.confidence,
            ).items()
        }
        for a, axis in enumerate(now.axes)
    }


def repeatability(now: Readings, setting: Setting) -> dict[str, dict[str, list[float]]]:
    """By axis, how much a judge repeats itself: `identical` and `deviation`, each as `[value, low, high]`.

    `identical` is the share of an item's pairs of repeats with the very same score, meaned over items; `deviation` the
    square root of the variance within an item, meaned over items, in points.
    """
    same, variances = now.same(), now.variances()
    return {
        axis: {
            "identical": list(setting.interval(same[:, a])),
            "deviation": list(setting.interval_of(np.sqrt(setting.means(variances[:, a])))),
        }
        for a, axis in enumerate(now.axes)
    }


def changes(
    now: Readings, before: Reference, rules: WatchedRules, setting: Setting, ids: Sequence[str]
) -> SubsetChanges:
    """How many samples change subset by the rules.

    `changed` items are those whose usual subset, the most frequent of their readings, is not one that was usual before,
    or that a whole score in the expected range falls into; `share` is `[value, low, high]`. `one_scoring` is the same
    for a single reading beside a single one, `by_noise` how much of that a judge does to itself. `flows` counts from
    where to where.
    """
    codes = now.subsets(rules)
    mine = _usual(codes, len(rules.subsets))
    if isinstance(before, Expectations):
        theirs = before.permits(rules)
        once = 1 - _within(codes, theirs)
    else:
        earlier = before.subsets(rules)
        theirs = _usual(earlier, len(rules.subsets))
        once = 1 - pairs_alike(codes, earlier)
    there = mine.any(1) & theirs.any(1)
    moves = there & ~(mine & theirs).any(1)
    names = rules.subsets
    flows = Counter((_name(theirs[i], names), _name(mine[i], names)) for i in np.flatnonzero(moves))
    return SubsetChanges(
        items=int(there.sum()),
        changed=int(moves.sum()),
        share=_ends(setting.interval(np.where(there, moves, np.nan))),
        one_scoring=_ends(setting.interval(once)),
        by_noise=_ends(setting.interval(1 - pairs_alike(codes, codes, within=True))),
        flows=tuple(Flow(before=a, now=b, items=n) for (a, b), n in flows.most_common()),
        changed_items=tuple(ids[i] for i in np.flatnonzero(moves).tolist()),
    )


def _usual(codes: Codes, subsets: int) -> Which:
    """The most frequent subsets of each item's readings, (items, subsets); none where there is no reading."""
    counts = (codes[:, :, None] == np.arange(subsets)).sum(1)
    usual: Which = (counts == counts.max(1, keepdims=True)) & (counts > 0)
    return usual


def _within(codes: Codes, permits: Which) -> Floats:
    """The share of each item's readings that fall into a permitted subset; nan without a reading."""
    there = codes != NONE
    inside = there & np.take_along_axis(permits, np.maximum(codes, 0), axis=1)
    with np.errstate(invalid="ignore"):
        share: Floats = inside.sum(1) / there.sum(1)
    return share


def _name(which: Which, names: Sequence[str]) -> str:
    return " or ".join(name for name, there in zip(names, which, strict=True) if there)


def _ends(interval: Interval) -> Ends:
    value, low, high = finite(interval, six_decimals)
    return value, low, high
