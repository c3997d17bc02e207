"""Raters, who are judges or people, on the same items: one table of scores an axis, and what is known of the items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from efficient_empathy.evaluation.agreement.settings import OCCURRING, AgreementSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import PROBABILITIES
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.scoring.rubric import Rubric

ITEM, ROUND, DEPENDENCE = "item", "round", "dependence"
ABOUT = pl.Schema(
    {
        ITEM: pl.String(),
        "dialogue_id": pl.String(),
        "turn": pl.Int64(),
        "category": pl.String(),
        "response_words": pl.Int64(),
    }
)
"""What may be known of an item: its conversation, its place in that, its category, its response's length."""


@dataclass(frozen=True)
class Rater:
    """One judge or person.

    `scores` has a row an item and round, rounds counted from 1: `item`, `round`, a Float64 column an axis (null where
    it gave none) and, where it gave distributions, `<axis>_probabilities` and perhaps `dependence`, of every pair of
    its axes. `scales` are lowest and highest by axis, where they are known. `about` has a row an item, `ABOUT` and
    perhaps more facts. `failed` counts what it could not score, by state.
    """

    name: str
    source: str
    scores: pl.DataFrame
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    about: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ABOUT))
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def axes(self) -> list[str]:
        """What it scored items on."""
        return [c for c in self.scores.columns if c not in (ITEM, ROUND, DEPENDENCE) and not c.endswith(PROBABILITIES)]

    def rounds(self) -> list[int]:
        """The rounds it has scores of, in order."""
        return sorted(self.scores[ROUND].unique().to_list())

    def rename(self, name: str) -> Rater:
        """The same rater under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class ComparedAxis:
    """What is compared: `scores` of shape (items, raters), nan where one gave none.

    A rater who was asked in several rounds counts with the median of them. `scale` is lowest and highest or every
    category, None where each two raters' own values are the categories.
    """

    name: str
    scale: tuple[float, ...] | None
    scores: Floats

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The lowest and the highest score, where both are whole numbers that are known."""
        if self.scale is None or any(end % 1 for end in (self.scale[0], self.scale[-1])):
            return None
        return int(self.scale[0]), int(self.scale[-1])

    def scale_for(self, *scores: Floats) -> tuple[float, ...]:
        """The scale that two raters' scores are compared on; never empty."""
        if self.scale is not None:
            return self.scale
        values = np.unique(np.concatenate(scores))
        return tuple(values[~np.isnan(values)].tolist()) or (0.0,)


@dataclass(frozen=True)
class RatedItems:
    """The raters, the items that two of them scored, the axes, and which raters are people.

    `about` has a row an item (`ABOUT`), nulls where nothing is known; `notes` say what was left out.
    """

    raters: list[Rater]
    people: list[int]
    items: list[str]
    axes: list[ComparedAxis]
    about: pl.DataFrame
    notes: list[str]

    @property
    def judges(self) -> list[int]:
        """The raters who are not people, by their place."""
        return [i for i in range(len(self.raters)) if i not in self.people]

    @property
    def clusters(self) -> list[str]:
        """Each item's dialogue; an item whose dialogue is not known is one of its own."""
        labels = self.about.select(
            pl.when(pl.col("dialogue_id").is_null())
            .then(pl.lit("item ") + pl.col(ITEM))
            .otherwise(pl.lit("dialogue ") + pl.col("dialogue_id"))
        )
        return labels.to_series().to_list()

    def reference(self, axis: ComparedAxis, judge: int) -> tuple[str, Floats] | None:
        """Whom a judge is held against on an axis, and their scores: the people's median, without people the first of
        the other raters."""
        if self.people:
            return ("the people’s median" if len(self.people) > 1 else self.raters[self.people[0]].name), medians(
                axis.scores[:, self.people]
            )
        others = [i for i in range(len(self.raters)) if i != judge]
        return (self.raters[others[0]].name, axis.scores[:, others[0]]) if others else None


def medians(scores: Floats) -> Floats:
    """The median of each row's scores, nan where there are none."""
    values = np.full(len(scores), np.nan)
    has_scores = ~np.isnan(scores).all(1)
    values[has_scores] = np.nanmedian(scores[has_scores], axis=1)
    return values


def align_raters(raters: Sequence[Rater], settings: AgreementSettings) -> RatedItems:
    """Lay the raters side by side.

    Raises `UserError` for a rater of `people` that there is not, an axis that fewer than two raters have, raters
    without any item in common, scores off the scale, and a single rater who was asked once.
    """
    names = [rater.name for rater in raters]
    if stranger := next((name for name in settings.people if name not in names), None):
        raise UserError(f"--people {stranger!r} is no rater here: there are {', '.join(names)}")
    alone = len(raters) == 1
    if alone and len(raters[0].rounds()) < 2:
        raise UserError(
            f"{names[0]} is the only rater, asked once: agreement needs two raters, or several rounds of one (a column "
            "round, or a ledger with rounds)"
        )
    common, notes = _axes(raters, settings)
    tables = {axis: _table(raters, axis) for axis in common}
    together = pl.concat([table.select(ITEM) for table in tables.values()]).unique(maintain_order=True)
    together = together.join(
        pl.concat([_in_common(table, alone) for table in tables.values()]), on=ITEM, how="semi", maintain_order="left"
    )
    if together.is_empty():
        examples = "; ".join(f"{r.name}: {r.scores[ITEM][0]} …" for r in raters[:4] if len(r.scores))
        raise UserError(
            f"no item has scores of two raters: the items have to be known by the same ids everywhere ({examples})"
        )
    axes = []
    for axis, table in tables.items():
        scores = together.join(table, on=ITEM, how="left", maintain_order="left").drop(ITEM)
        scale, note = _scale(raters, axis, settings, table)
        notes += [note] if note else []
        axes.append(ComparedAxis(axis, scale, scores.select(pl.all().fill_null(np.nan)).to_numpy().astype(np.float64)))
    about = _about(raters, together)
    if about["dialogue_id"].null_count():
        notes.append(
            f"{about['dialogue_id'].null_count():,} of {len(about):,} items have no dialogue_id: in the intervals each "
            "is a dialogue of its own"
        )
    people = [names.index(name) for name in dict.fromkeys(settings.people)]
    return RatedItems(list(raters), people, together[ITEM].to_list(), axes, about, notes)


def _axes(raters: Sequence[Rater], settings: AgreementSettings) -> tuple[list[str], list[str]]:
    """The axes to compare, and notes on those left out."""
    having: dict[str, list[str]] = {}
    for rater in raters:
        for axis in rater.axes:
            having.setdefault(axis, []).append(rater.name)
    fewest = min(2, len(raters))
    for axis in settings.axes:
        if len(having.get(axis, [])) < fewest:
            who = f"only {having[axis][0]} has it" if axis in having else f"there are {', '.join(having)}"
            raise UserError(f"the axis {axis!r} cannot be compared: {who}")
    common = [axis for axis, names in having.items() if len(names) >= fewest]
    if not common:
        by_rater = "; ".join(f"{rater.name}: {', '.join(rater.axes)}" for rater in raters[:12])
        raise UserError(f"no axis is shared by two raters ({by_rater}): give the columns the same names")
    notes = [f"{axis} is left out: only {names[0]} has it" for axis, names in having.items() if axis not in common]
    return (list(dict.fromkeys(settings.axes)), []) if settings.axes else (common, notes)


def _table(raters: Sequence[Rater], axis: str) -> pl.DataFrame:
    """Each item's score by rater, the median of its rounds; columns `0`, `1`, … beside the item."""
    items = pl.concat([rater.scores.select(ITEM) for rater in raters]).unique(maintain_order=True)
    for i, rater in enumerate(raters):
        if axis in rater.axes:
            own = rater.scores.group_by(ITEM).agg(pl.col(axis).median().alias(str(i)))
            items = items.join(own, on=ITEM, how="left", maintain_order="left")
        else:
            items = items.with_columns(pl.lit(None, pl.Float64).alias(str(i)))
    return items


def _in_common(table: pl.DataFrame, alone: bool) -> pl.DataFrame:
    scored = pl.sum_horizontal(pl.exclude(ITEM).is_not_null())
    return table.filter(scored >= (1 if alone else 2)).select(ITEM)


def _scale(
    raters: Sequence[Rater], axis: str, settings: AgreementSettings, table: pl.DataFrame
) -> tuple[tuple[float, ...] | None, str]:
    """The axis's scale, perhaps that of the package's own rubric, and perhaps a note on it; checks every score."""
    choice = settings.scale_of(axis)
    if choice == OCCURRING:
        return None, ""
    default = {one.name: (float(one.scale[0]), float(one.scale[1])) for one in Rubric.load().axes}
    scales = {rater.name: rater.scales[axis] for rater in raters if axis in rater.scales}
    if not isinstance(choice, tuple) and len(set(scales.values())) > 1:
        names = ", ".join(f"{name} {low:g}–{high:g}" for name, (low, high) in scales.items())
        raise UserError(
            f"{axis} is on different scales ({names}): compare raters of one scale, or name it with --scale"
        )
    note = ""
    if isinstance(choice, tuple):
        scale = choice
    elif scales:
        scale = next(iter(scales.values()))
    elif axis in default:
        scale = default[axis]
    else:
        values = table.drop(ITEM).unpivot()["value"].drop_nulls()
        low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
        scale = (low, high if high > low else low + 1)
        note = f"{axis} is taken to be on {scale[0]:g}–{scale[1]:g}, the values that occur: name its scale with --scale"
    for rater in (r for r in raters if axis in r.axes):
        _check(rater, axis, scale)
    return scale, note


def _check(rater: Rater, axis: str, scale: tuple[float, ...]) -> None:
    value = pl.col(axis)
    bad = ~value.is_in(list(scale)) if len(scale) > 2 else ~value.is_between(scale[0], scale[1])
    off = rater.scores.filter(value.is_not_null() & bad).head(1)
    if len(off) and (len(scale) == 2 or not _is_even(scale)):
        levels = f"{scale[0]:g}–{scale[1]:g}" if len(scale) == 2 else ", ".join(f"{v:g}" for v in scale)
        raise UserError(
            f"{rater.source}: {rater.name} gave {off[ITEM][0]!r} {axis} {off[axis][0]:g}, which is not on the scale "
            f"{levels}: mend it, or name another with --scale"
        )


def _is_even(scale: tuple[float, ...]) -> bool:
    return bool(np.allclose(np.diff(scale), scale[1] - scale[0]))


def _about(raters: Sequence[Rater], items: pl.DataFrame) -> pl.DataFrame:
    """What any rater's source tells of the items, the first that tells it."""
    frames = [rater.about for rater in raters if len(rater.about)]
    if not frames:
        return items.select(ITEM, *(pl.lit(None, ABOUT[c]).alias(c) for c in ABOUT.names() if c != ITEM))
    every = pl.concat(frames, how="diagonal").group_by(ITEM).agg(pl.exclude(ITEM).drop_nulls().first())
    return items.join(every, on=ITEM, how="left", maintain_order="left")


def rounds_of(rater: Rater, axis: str) -> tuple[list[str], Floats]:
    """The items that a rater scored in two rounds or more, and the scores, shape (items, rounds), nan where missing."""
    wide = rater.scores.pivot(ROUND, index=ITEM, values=axis, maintain_order=True)
    wide = wide.select(ITEM, *(str(number) for number in rater.rounds()))
    wide = wide.filter(pl.sum_horizontal(pl.exclude(ITEM).is_not_null()) >= 2)
    scores = wide.drop(ITEM).select(pl.all().cast(pl.Float64).fill_null(np.nan)).to_numpy()
    return wide[ITEM].to_list(), scores
