"""An F1 to be kept, proven by one bound on the errors of the labels that the distilled judge gives.

With Q members by the final labels, F1 = 2 (Q − FP) / (2 Q − FP + FN), so F1 ≥ f just if

    (2 − f) FP + f FN ≤ 2 (1 − f) Q.

Errors of two kinds with a weight each, against what can be counted: nothing else has to be estimated.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.tolerance import fewest_of
from efficient_empathy.foundation.statistics.weighted import most_weight
from efficient_empathy.labelling.cascade.guarantee import Cut, Evidence, Flags, Uncertainty
from efficient_empathy.labelling.subsets import Labels, Probabilities

MEMBERS = 0.05
"""Of the risk, the share that a rough bound on the subset's size takes."""


@dataclass(frozen=True)
class F1Goal:
    """F1 of one subset at least `f1`.

    Statement: but for a chance of `risk` over the draw, no cut that `cut` returns leaves an F1 below `f1`, whatever
    the labels, the truth and the uncertainties are. Samples on which the expert fails have no label, and do not count;
    those that it fails on in the draw are taken for errors, and for members lost.

    Proof. Let the errors of the population (without what was bought) be sorted by uncertainty. At a cut c, E(c) is
    their weight below it by the weights of the inequality (2 − f for a false member, f for a missed one), S(c) that of
    the drawn ones among them, s(c) the drawn ones' by the weights f and 2 − f; let A(c) be the number of members if
    nothing had been drawn. Drawing puts S(c) right and changes the number of members, so F1 < f just if

        E(c) − 2 (1 − f) A(c) > s(c).                                                                    (1)

    The left side depends on no draw. What (1) says is that the errors left, by the weights f and 2 − f, weigh more than
    2 (1 − f) P, P being the number of true members: so once (1) holds at a cut, it holds at all looser ones. Let
    r = f / (2 − f), so that r S ≤ s ≤ S / r; let U(S) be the upper confidence bound on E by `most_weight`. A cut is
    returned only if every c up to it has

        U(S(c)) ≤ 2 (1 − f) A(c) + r S(c) − (2 − f),                                                     (2)

    which says S(c) ≤ t(c), with a t(c) that depends on no draw. Let c₀ be the first error at which the left side of (1)
    exceeds r t(c). If the cut returned is as loose as c₀, (2) held there, so S ≤ t(c₀). If it is tighter and (1) holds,
    (1) holds just before c₀ as well, so r S ≤ s < r t. Either way the errors before c₀ show no more than t, while they
    weigh more than U(t): the one at c₀ weighs 2 − f at most. That has a probability of at most `risk`. ∎

    No cut is tested twice, and none is paid for: c₀ is one place. (This is fixed-sequence testing, as in Learn then
    Test, Angelopoulos et al. 2021, arXiv:2110.01052, for a family that is nested.) A(c) is known at the cut itself, all
    that lies above being judged. Below it, it has the lower bound that all answers in between were false. Where that is
    too rough, far below the cut, (2) may instead hold by the weights f and 2 − f, with a lower confidence bound on P
    for A, for a twentieth of the risk.
    """

    f1: float
    subset: int
    name: str

    def uncertainty(self, probabilities: Probabilities) -> Uncertainty:
        """P(the label is wrong about being in the subset)."""
        inside = probabilities[:, self.subset]
        return np.where(probabilities.argmax(axis=1) == self.subset, 1 - inside, inside)

    def wrong(self, labels: Labels, truth: Labels) -> Flags:
        """In the subset on one side only."""
        wrong: Flags = (labels == self.subset) != (truth == self.subset)
        return wrong

    def text(self) -> str:
        """For example "F1 of the sensibility subset at least 0.95"."""
        return f"F1 of the {self.name} subset at least {self.f1:g}"

    def allowance(self, probabilities: Probabilities) -> int:
        """FP + FN ≤ (1 − f) (P + Q), by the expected numbers of members at the loosest cut that is expected to fit."""
        uncertainty = self.uncertainty(probabilities)
        order = np.argsort(uncertainty, kind="stable")
        inside = probabilities[order, self.subset].astype(np.float64)
        labelled = probabilities.argmax(axis=1)[order] == self.subset
        members = inside.sum()
        allowed = (1 - self.f1) * (2 * members + np.cumsum(labelled - inside))
        fitting = np.flatnonzero(np.cumsum(uncertainty[order], dtype=np.float64) <= allowed)
        return int(allowed[fitting[-1]] + 1e-9) if len(fitting) else 0

    def cut(self, evidence: Evidence, risk: float) -> tuple[Cut, int]:
        """The loosest cut with (2); members above it that are not judged yet count as likely as the judge says.

        So a cut is proven once all that lies above it has been judged and it is still the one returned.
        """
        rest = evidence.population
        rest = rest[np.argsort(self.uncertainty(evidence.probabilities)[rest], kind="stable")]
        uncertainty = self.uncertainty(evidence.probabilities)[rest]
        drawn, truth = evidence.drawn[rest], evidence.truth[rest] == self.subset
        answer = evidence.labels[rest] == self.subset
        failed = evidence.truth[rest] < 0
        wrong = drawn & (failed | (answer != truth))
        heavy, light = 2 - self.f1, self.f1

        known = int((evidence.truth[evidence.bought] == self.subset).sum())
        member = np.where(evidence.judged[rest], truth, evidence.probabilities[rest, self.subset])
        found = known + _before(drawn & truth) + (member.sum() - _before(member))  # at a cut below each place
        claimed = _before(~drawn & answer) + _before(wrong & answer) - _before(wrong & ~answer)
        places = np.concatenate([[0], np.flatnonzero(wrong) + 1])  # between two of them a cut is only safer
        shown = np.where(wrong, np.where(answer, heavy, light), 0.0)
        seen = np.round(_before(shown)[places], 6)
        members = known + fewest_of(len(rest), int(drawn.sum()), int((drawn & truth).sum()), MEMBERS * risk)

        def needed(i: int, counted: tuple[float, float]) -> float:
            """How many members (2) asks for at the i-th place."""
            most = _most_weight(
                len(rest), int(drawn.sum()), float(seen[i]), (light, heavy), counted, (1 - MEMBERS) * risk
            )
            return (most - light / heavy * float(seen[i]) + heavy) / (2 * (1 - self.f1))

        safe = bisect_left(range(len(places)), True, key=lambda i: needed(i, (heavy, light)) > members)
        fits = np.ones(len(rest) + 1, np.bool_)
        for i in range(safe, len(places)):
            fits[places[i] :] &= found[places[i] :] + claimed[places[i]] >= needed(i, (light, heavy))
            if not fits[places[i] :].any():
                break
        edges = np.concatenate([[True], uncertainty[1:] > uncertainty[:-1], [True]])
        last = int(np.flatnonzero(fits & edges)[-1]) if (fits & edges).any() else 0
        limit = -np.inf if last == 0 else np.inf if last == len(rest) else float(uncertainty[last])
        errors = int(wrong[:last].sum())
        q = found[last] + _before(~drawn & answer)[last]
        return Cut(limit, errors, errors), int(2 * (1 - self.f1) * q / heavy + 1e-9)


def _before(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Sums of all values before each place, and of all."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


@lru_cache(maxsize=4096)
def _most_weight(
    population: int, draws: int, seen: float, shown: tuple[float, float], counted: tuple[float, float], risk: float
) -> float:
    return most_weight(population, draws, seen, shown=shown, counted=counted, risk=risk)
