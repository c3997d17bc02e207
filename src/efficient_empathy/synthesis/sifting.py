"""From candidates to what is kept: the filters, then the run's judge and policy, then thinning for diversity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.selection.shares import tie_hash
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.discriminator import Discriminator
from efficient_empathy.synthesis.diversity import DiversityRecord, facility_location, k_center, measure_diversity
from efficient_empathy.synthesis.embeddings import Embedder, Vectors
from efficient_empathy.synthesis.filters import Filter, run_filters
from efficient_empathy.synthesis.judging import RunJudge
from efficient_empathy.synthesis.record import StepRecord
from efficient_empathy.synthesis.settings import MakingSettings

DISCRIMINATOR, JUDGE, TARGET, DIVERSITY, PLAN = "discriminator", "judge", "target", "diversity", "plan"


@dataclass
class Sifted:
    """By candidate: which step it went at and why (empty: it is kept), its figure in each filter, scores and subset."""

    step_names: list[str]
    reasons: list[str]
    figures: dict[str, list[float | None]]
    scores: pl.DataFrame
    """The state, the axes and the subset; null where the judge has not seen it."""
    steps: list[StepRecord]
    ending: SessionEnding = "complete"
    judge_cost_usd: float = 0.0
    places: list[int] = field(default_factory=list)
    """Of those that stay."""

    def drop(self, name: str, reasons: dict[int, str], remedy: str) -> None:
        """One more step: these go, by their place."""
        before = len(self.places)
        for place, reason in reasons.items():
            self.step_names[place], self.reasons[place] = name, reason
        self.places = [place for place in self.places if place not in reasons]
        counts = dict(Counter(reasons.values()).most_common())
        self.steps.append(StepRecord(name=name, before=before, after=len(self.places), reasons=counts, remedy=remedy))


def sift(
    candidates: Sequence[Candidate],
    filters: Sequence[Filter],
    discriminator: Discriminator | None,
    judge: RunJudge | None,
    console: Console,
) -> Sifted:
    """Put candidates through the filters, before the discriminator, and before the judge."""
    filtered = run_filters(candidates, filters)
    steps = [
        StepRecord(name=step.name, before=step.before, after=step.after, reasons=dict(step.reasons), remedy=step.remedy)
        for step in filtered.steps
    ]
    empty = pl.DataFrame({"state": [None] * len(candidates)}, schema={"state": pl.String})
    sifted = Sifted(
        filtered.filters, filtered.reasons, dict(filtered.figures), empty, steps, places=list(filtered.kept)
    )
    if discriminator is not None:
        _discriminate(sifted, candidates, discriminator, console)
    if judge is not None:
        _judge(sifted, candidates, judge, console)
    return sifted


def _discriminate(
    sifted: Sifted, candidates: Sequence[Candidate], discriminator: Discriminator, console: Console
) -> None:
    samples = [_sample(candidates[place]) for place in sifted.places]
    sifted.ending, alike = discriminator.compare(samples, console)
    figures: list[float | None] = [None] * len(candidates)
    reasons = {}
    for place, figure in zip(sifted.places, alike, strict=True):
        figures[place] = figure
        if figure is None:
            reasons[place] = "the discriminator gave no response"
        elif figure < discriminator.least:
            reasons[place] = "unlike what the discriminator responds"
    sifted.figures[DISCRIMINATOR] = figures
    sifted.drop(DISCRIMINATOR, reasons, "a lower --likeness, or another --discriminator")


def _judge(sifted: Sifted, candidates: Sequence[Candidate], judge: RunJudge, console: Console) -> None:
    if sifted.ending != "complete" or not sifted.places:
        nothing = [pl.lit(None, pl.Float32).alias(axis) for axis in judge.axes]
        sifted.scores = sifted.scores.with_columns(*nothing, pl.lit(None, pl.String).alias("subset"))
        sifted.drop(JUDGE, dict.fromkeys(sifted.places, "no score (not judged)"), "")
        return
    judged = judge.judge([_sample(candidates[place]) for place in sifted.places], console)
    sifted.ending, sifted.judge_cost_usd = judged.ending, judged.cost_usd
    places = pl.DataFrame({"place": sifted.places}, schema={"place": pl.Int64})
    order = pl.DataFrame({"place": range(len(candidates))}, schema={"place": pl.Int64})
    rows = pl.concat([places, judged.rows], how="horizontal")
    sifted.scores = order.join(rows, on="place", how="left", maintain_order="left").drop("place")
    otherwise = judge.selector.otherwise
    reasons = {}
    for place, state, subset in zip(sifted.places, judged.rows["state"], judged.rows["subset"], strict=True):
        if state != "ok":
            reasons[place] = f"no score ({state or 'not judged'})"
        elif subset == otherwise:
            reasons[place] = f"the policy puts it into {otherwise}"
    for axis, least in judge.least.items():
        low = [place for place, score in zip(sifted.places, judged.rows[axis], strict=True) if (score or 0) < least]
        reasons = dict.fromkeys(low, f"{axis} under {least:g}") | reasons
    sifted.drop(JUDGE, reasons, "a better generating model, another prompt, or --no-judged")


def thin(
    sifted: Sifted,
    candidates: Sequence[Candidate],
    cells: Sequence[tuple[str, ...]],
    wanted: Mapping[tuple[str, ...], int],
    real: Vectors,
    settings: MakingSettings,
    embedder: Embedder,
) -> DiversityRecord | None:
    """Keep the most diverse of what stays, and of these as many as are wanted: first those whose cells lack them.

    `cells` has the key of each candidate's cell, `wanted` how many each cell lacks. The farthest from the `real`
    samples come first. What that did to their diversity; None where nothing was left out.
    """
    places = list(sifted.places)
    if not places:
        sifted.drop(DIVERSITY, {}, "")
        return None
    samples = [_sample(candidates[place]) for place in places]
    rows, centers = embedder.samples(samples), real if len(real) else None
    ties = tie_hash(pl.Series([sample.id for sample in samples]), 0)
    size = ceil(settings.diversity * len(places) - 1e-9)
    radius = None
    if settings.thinning == "k_center":
        picks = k_center(rows, size, ties, centers)
        order, radius = picks.order, picks.radius
    else:
        order = facility_location(rows, size, ties, centers).order
    ranked = [places[number] for number in order]
    left_out = dict.fromkeys(set(places) - set(ranked), "too near to others")
    sifted.drop(DIVERSITY, left_out, "a higher --diversity")
    chosen = _fill_cells(ranked, cells, wanted, settings.samples)
    sifted.drop(PLAN, dict.fromkeys(set(ranked) - chosen, "more than --samples"), "more --samples")
    if len(sifted.places) == len(places):
        return None
    return measure_diversity(
        [sample.response for sample in samples],
        rows,
        np.array([number for number, place in enumerate(places) if place in chosen]),
        ties,
        method=settings.thinning,
        encoder=embedder.hash,
        real=len(real),
        radius=radius,
    )


def _fill_cells(
    ranked: Sequence[int],
    cells: Sequence[tuple[str, ...]],
    wanted: Mapping[tuple[str, ...], int],
    most: int,
) -> set[int]:
    """At most so many of the places `ranked`, in their order: those that a cell still lacks before all others."""
    lacking = dict(wanted)
    chosen: list[int] = []
    for place in ranked:
        if lacking.get(cells[place], 0) > 0:
            lacking[cells[place]] -= 1
            chosen.append(place)
    first = set(chosen)
    others = [place for place in ranked if place not in first]
    return set([*chosen, *others][:most])


def _sample(candidate: Candidate) -> Sample:
    assert candidate.sample is not None  # the first filter is `format`
    return candidate.sample
