"""How far scores and samples have moved between two runs, or two periods of one: counts in bins, with alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from efficient_empathy.analytics.record import Comparison, Drift, DriftSide, Level, Shift
from efficient_empathy.analytics.settings import HALF, JUDGED, AnalyticsSettings
from efficient_empathy.analytics.table import Codes, Labels, Mask, Table, read_table
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.drift import CHANCE, effective_size, shift
from efficient_empathy.foundation.statistics.measured import Floats

LEVELS: tuple[Level, ...] = ("ok", "unknown", "watch", "alarm")
"""Levels of a shift, the worst last."""
COLUMNS = ("split", "source", "category", "turn")
MOST_PERIODS = 12
_QUANTILES = np.linspace(0, 1, 11)[1:-1]


@dataclass(frozen=True)
class Side:
    """Some rows of a table, under a name."""

    name: str
    table: Table
    rows: Mask

    def about(self) -> DriftSide:
        """The side as the record has it."""
        dialogues = self.table.dialogues[self.rows]
        return DriftSide(
            name=self.name,
            samples=int(self.rows.sum()),
            dialogues=len(np.unique(dialogues)),
            effective_samples=effective_size(np.bincount(dialogues)) if len(dialogues) else 0.0,
        )


def drift(table: Table, settings: AnalyticsSettings, judgement_times: Floats | None) -> Drift:
    """`comparisons` with the run that is named, else of periods; `level` is the worst of theirs."""
    if settings.against is not None:
        comparisons = between_runs(table, read_table(Workspace(settings.against)))
        return _worst("runs", comparisons)
    return _worst(settings.periods, between_periods(table, settings.periods, judgement_times))


def _worst(kind: str, comparisons: list[Comparison]) -> Drift:
    level: Level = max((one.level for one in comparisons), key=LEVELS.index, default="unknown")
    return Drift(kind=kind, level=level, comparisons=comparisons)


def between_runs(table: Table, reference: Table) -> list[Comparison]:
    """Drift of a run from another. Raises `UserError` where they have no axis in common."""
    everything = [Side(one.name, one, np.ones(len(one), dtype=np.bool_)) for one in (reference, table)]
    if everything[0].name == everything[1].name:
        everything = [Side(f"{one.name} ({which})", one.table, one.rows)
                      for one, which in zip(everything, ("reference", "this run"), strict=True)]  # fmt: skip
    return [compare(everything[0], everything[1])]


def between_periods(table: Table, periods: str, judgement_times: Floats | None) -> list[Comparison]:
    """Drift of each later period from the first. `judged` is when each sample was judged, where that is known.

    Raises `UserError` for periods that there are not.
    """
    sides = _halves(table, periods, judgement_times) if periods in (HALF, JUDGED) else _values(table, periods)
    return [compare(sides[0], side) for side in sides[1:]]


def _halves(table: Table, periods: str, judgement_times: Floats | None) -> list[Side]:
    """By the order of dialogues: none is in both halves, unless the judge's time is what parts them."""
    if periods == JUDGED:
        if judgement_times is None:
            raise UserError("the run's ledger does not say when samples were judged: use --periods half")
        there = ~np.isnan(judgement_times)
        late = judgement_times > np.nanmedian(judgement_times)
        return [Side("judged first", table, there & ~late), Side("judged last", table, there & late)]
    first = np.full(int(table.dialogues.max(initial=-1)) + 1, len(table))
    np.minimum.at(first, table.dialogues, np.arange(len(table)))
    late = first[table.dialogues] >= len(table) / 2
    return [Side("first half", table, ~late), Side("second half", table, late)]


def _values(table: Table, column: str) -> list[Side]:
    if column not in COLUMNS:
        raise UserError(f"--periods takes {HALF}, {JUDGED}, {', '.join(COLUMNS)}, not {column!r}")
    labels = table.labels(column)
    names = list(dict.fromkeys(labels.names[code] for code in labels.codes if code >= 0))
    if len(names) < 2:
        raise UserError(f"the column {column} has {'one value' if names else 'no value'}: drift needs two periods")
    if len(names) > MOST_PERIODS:
        raise UserError(f"the column {column} has {len(names):,} values, more than {MOST_PERIODS} periods")
    return [Side(name, table, labels.codes == labels.names.index(name)) for name in names]


def compare(reference: Side, side: Side) -> Comparison:
    """`level`, the worst of `axes` (of all samples, and of each category that both sides have) and of `mix` (what the
    samples are: category, subset, length of the response); it is unknown where that of all samples is, and no other
    tells of a shift.

    PSI and Jensen–Shannon distance on whole scores; a level is given only where PSI is more than what chance would give
    once in 1,000 comparisons of this many tests; see `statistics.drift`.
    """
    features = [*_scores(reference, side), *_mix(reference, side)]
    chance = CHANCE / max(1, len(features))
    shifts = [_measure(feature, chance) for feature in features]
    whole = [one.level for one in shifts if one.kind == "axis" and one.category is None]
    levels = [*whole, *(one.level for one in shifts if one.level != "unknown")]
    return Comparison(
        reference=reference.about(),
        actual=side.about(),
        level=max(levels, key=LEVELS.index),
        tests=len(shifts),
        unknown=sum(one.level == "unknown" for one in shifts),
        axes=[one for one in shifts if one.kind == "axis"],
        mix=[one for one in shifts if one.kind == "mix"],
    )


@dataclass(frozen=True)
class _Feature:
    kind: Literal["axis", "mix"]
    name: str
    category: str | None
    bins: Sequence[str]
    places: tuple[Codes, Codes]
    dialogues: tuple[Codes, Codes]
    means: tuple[float, float] | None = None


def _scores(reference: Side, side: Side) -> Iterator[_Feature]:
    axes = [axis for axis in reference.table.axes if axis in side.table.axes]
    if not axes:
        raise UserError(f"{reference.name} and {side.name} have no axis in common: drift needs one")
    both = [one.table.labels("category") for one in (reference, side)]
    names = [name for name in both[1].names if name in set(both[0].names)]
    for axis in axes:
        if reference.table.scales[axis] != side.table.scales[axis]:
            raise UserError(f"the axis {axis} has other scores in {reference.name} than in {side.name}")
        yield _axis(axis, None, (reference, side), (reference.rows, side.rows))
        for name in names:
            rows = tuple(one.rows & (labels.codes == labels.names.index(name))
                         for one, labels in zip((reference, side), both, strict=True))  # fmt: skip
            if all(some.any() for some in rows):
                yield _axis(axis, name, (reference, side), (rows[0], rows[1]))


def _axis(axis: str, category: str | None, sides: tuple[Side, Side], rows: tuple[Mask, Mask]) -> _Feature:
    low, high = sides[0].table.scales[axis]
    some = [part & one.table.scored for one, part in zip(sides, rows, strict=True)]
    places = [one.table.bins(axis)[part] for one, part in zip(sides, some, strict=True)]
    dialogues = [one.table.dialogues[part] for one, part in zip(sides, some, strict=True)]
    means = [one.table.column(axis)[part] for one, part in zip(sides, some, strict=True)]
    first, second = (float(values.mean()) if len(values) else float("nan") for values in means)
    bins = [str(score) for score in range(low, high + 1)]
    return _Feature("axis", axis, category, bins, (places[0], places[1]), (dialogues[0], dialogues[1]), (first, second))


def _mix(reference: Side, side: Side) -> Iterator[_Feature]:
    dialogues = (reference.table.dialogues[reference.rows], side.table.dialogues[side.rows])
    for column in ("category", "subset"):
        both = [one.table.labels(column) for one in (reference, side)]
        names = list(dict.fromkeys([*both[0].names, *both[1].names]))
        if not both[0].names or not both[1].names:
            continue
        places = [_renumber(labels, names)[one.rows] for one, labels in zip((reference, side), both, strict=True)]
        yield _Feature("mix", column, None, names, (places[0], places[1]), dialogues)
    lengths = [one.table.column("response_words")[one.rows] for one in (reference, side)]
    if len(lengths[0]) and len(lengths[1]):
        edges = np.unique(np.quantile(lengths[0], _QUANTILES, method="lower"))
        first, second = (np.searchsorted(edges, values, side="left") for values in lengths)
        bins = [*(f"to {edge:g}" for edge in edges), f"above {edges[-1]:g}"]
        means = (float(lengths[0].mean()), float(lengths[1].mean()))
        yield _Feature("mix", "response_words", None, bins, (first, second), dialogues, means)


def _renumber(labels: Labels, names: list[str]) -> Codes:
    places = np.array([*(names.index(name) for name in labels.names), -1], np.int64)
    return places[labels.codes]


def _measure(feature: _Feature, chance: float) -> Shift:
    there = [places >= 0 for places in feature.places]
    counts = [
        np.bincount(places[some], minlength=len(feature.bins))
        for places, some in zip(feature.places, there, strict=True)
    ]
    sizes = [
        effective_size(np.bincount(dialogues[some])) if some.any() else 0.0
        for dialogues, some in zip(feature.dialogues, there, strict=True)
    ]
    drift = shift(counts[0], counts[1], expected_size=sizes[0], actual_size=sizes[1], chance=chance)
    blind = drift.blind or not all(sizes)
    return Shift(
        kind=feature.kind,
        name=feature.name,
        category=feature.category,
        level="unknown" if blind else drift.level,
        psi=drift.psi,
        psi_expected=drift.noise,
        psi_limit=drift.limit,
        jensen_shannon=drift.jensen_shannon,
        bins=list(feature.bins),
        reference=counts[0].tolist(),
        actual=counts[1].tolist(),
        means=feature.means,
    )
