"""Rankings from comparisons: Bradley and Terry's model, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.errors import UserError

Wins = npt.NDArray[np.float64]
"""Shape (…, systems, systems): how often the row's was preferred to the column's; a tie is half a win to each."""
TIE = 0.5
"""What regularising adds to both sides of every pair that was compared: one tie."""
TOLERANCE = 1e-10


@dataclass(frozen=True)
class RankedSystem:
    """A system's place: its log-strength (the mean over systems is 0) and the interval of that."""

    name: str
    strength: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class Ranking:
    """The systems from the strongest to the weakest, and what a reader has to know of the estimate."""

    systems: list[RankedSystem]
    notes: list[str] = field(default_factory=list)


def rank(names: Sequence[str], wins: Wins, bootstrap_wins: Wins | None = None, *, confidence: float = 0.95) -> Ranking:
    """Rank systems by Bradley and Terry's model (1952): P(a beats b) = 1 / (1 + exp(strength b - strength a)).

    `wins` has shape (systems, systems); `bootstrap_wins`, shape (draws, systems, systems), has the same in bootstrap
    draws and gives percentile intervals. The estimate is that of maximum likelihood wherever it exists, in the sample
    and in every draw: however the systems are split in two, each part has beaten the other (Ford 1957). Where it does
    not (a system that won or lost everything would be infinitely strong or weak) one tie is added to every pair that
    was compared, in the sample and all draws alike, and `notes` says so.

    Raises `UserError` where some systems were never compared with the others, not even by way of a third.
    """
    groups = comparable(wins)
    if len(groups) > 1:
        groups_text = " and ".join("{" + ", ".join(names[i] for i in group) + "}" for group in groups)
        raise UserError(f"the systems cannot be ranked: nothing compares {groups_text} with one another")
    every = wins[None] if bootstrap_wins is None else np.concatenate([wins[None], bootstrap_wins])
    finite = np.array([identifiable(one) for one in every])
    notes = []
    if not finite.all():
        every = every + TIE * ((wins + wins.T) > 0)
        notes.append(_note(bool(finite[0]), int((~finite[1:]).sum()), len(finite) - 1))
    strengths = bradley_terry(every)
    bounds = np.full((2, len(names)), np.nan)
    if bootstrap_wins is not None and len(bootstrap_wins):
        bounds = np.quantile(strengths[1:], [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    systems = [RankedSystem(name, *map(float, (strengths[0, i], *bounds[:, i]))) for i, name in enumerate(names)]
    return Ranking(sorted(systems, key=lambda one: -one.strength), notes)


def bradley_terry(wins: Wins) -> npt.NDArray[np.float64]:
    """Log-strengths of maximum likelihood, shape (…, systems), their mean 0, by Hunter's MM algorithm (2004).

    Every table has to be `identifiable`: else the strengths do not converge.
    """
    compared = wins + np.swapaxes(wins, -1, -2)
    won = wins.sum(-1) - np.diagonal(wins, axis1=-2, axis2=-1)
    compared = compared * (1 - np.eye(wins.shape[-1]))
    strengths = np.zeros(wins.shape[:-1])
    change = np.inf
    while change > TOLERANCE:
        worth = np.exp(strengths)
        expected = (compared / (worth[..., :, None] + worth[..., None, :])).sum(-1)
        estimate = np.log(won / expected)
        estimate -= estimate.mean(-1, keepdims=True)
        change = float(np.abs(estimate - strengths).max(initial=0.0))
        strengths = estimate
    return strengths


def comparable(wins: Wins) -> list[list[int]]:
    """The systems in groups that comparisons connect, one table of shape (systems, systems)."""
    reachable = _reachability((wins + wins.T) > 0)
    groups: list[list[int]] = []
    for i in range(len(wins)):
        if not any(i in group for group in groups):
            groups.append([int(j) for j in np.flatnonzero(reachable[i])])
    return groups


def identifiable(wins: Wins) -> bool:
    """Whether strengths of maximum likelihood are finite: every system has beaten every other, at least by way of
    others (Ford 1957)."""
    return bool(_reachability(wins > 0).all())


def _reachability(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which systems can be reached from which along edges, each from itself."""
    reachable = edges | np.eye(len(edges), dtype=bool)
    for middle in range(len(edges)):
        reachable |= np.outer(reachable[:, middle], reachable[middle])
    return reachable


def _note(sample: bool, without: int, draws: int) -> str:
    where = f"in {without:,} of {draws:,} draws" if sample else "here"
    return (
        f"one tie is added to every pair compared, because {where} a system, or a group of them, won or lost all its "
        "comparisons with the rest, and the strengths of maximum likelihood are infinite"
    )
