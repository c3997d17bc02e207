"""By what samples are told apart in a plan: facts of their text, their scores, what they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.facts import FACTS

TOPIC = "topic"
CATEGORY = "category"
NONE = "none"
"""The value of a sample that has none: no category, no score, no topic."""
_BANDS = 3


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of them; `cuts` part numbers into bands, and are empty for what is text."""

    name: str
    cuts: tuple[float, ...] = ()

    @property
    def bands(self) -> dict[str, tuple[float, float]]:
        """Its bands of numbers by what they are called: from the first number to under the second."""
        return {_band_text(low, high): (low, high) for low, high in pairwise([-math.inf, *self.cuts, math.inf])}

    def value(self) -> pl.Expr:
        """What it calls each row of samples, with their scores and the column `topic`."""
        raw = FACTS[self.name].expression if self.name in FACTS else pl.col(self.name)
        if not self.cuts:
            return raw.cast(pl.String).fill_null(NONE).alias(self.name)
        text = pl.lit(NONE)
        for name, (low, high) in self.bands.items():
            text = pl.when((raw >= low) & (raw < high)).then(pl.lit(name)).otherwise(text)
        return text.alias(self.name)


def _band_text(low: float, high: float) -> str:
    if low == -math.inf:
        return f"under {high:g}"
    return f"{low:g} or more" if high == math.inf else f"{low:g} to under {high:g}"


def read_dimensions(written: Sequence[str], rows: pl.DataFrame, axes: Sequence[str]) -> list[Dimension]:
    """The dimensions by their names, each with cuts of its own (`turn:3,5`) or those that part `rows` in three.

    `rows` are real samples with their scores. Raises `UserError` for what they cannot be told apart by.
    """
    names = [name for name in (*FACTS, TOPIC, *axes) if name != "split"]
    dimensions = []
    for text in written:
        name, _, cuts = text.strip().partition(":")
        if name not in names:
            raise UserError(f"--by {text}: samples can be told apart by {', '.join(names)}; numbers also NAME:CUT,CUT")
        is_text = name == TOPIC or (name in FACTS and FACTS[name].is_text)
        if is_text and cuts:
            raise UserError(f"--by {text}: {name} is no number, so nothing can cut it")
        dimensions.append(Dimension(name) if is_text else Dimension(name, _cuts(name, cuts, rows)))
    if len({one.name for one in dimensions}) < len(dimensions):
        raise UserError("--by names the same thing twice")
    return dimensions


def _cuts(name: str, written: str, rows: pl.DataFrame) -> tuple[float, ...]:
    if written:
        try:
            cuts = sorted({float(one) for one in written.split(",")})
        except ValueError:
            cuts = [math.nan]
        if not all(map(math.isfinite, cuts)):
            raise UserError(f"--by {name}:{written}: the cuts are numbers with commas between, such as {name}:3,5")
        return tuple(cuts)
    column = rows.select(FACTS[name].expression if name in FACTS else pl.col(name)).to_series().drop_nulls()
    values = np.sort(column.cast(pl.Float64).to_numpy())
    marks = [values[len(values) * place // _BANDS] for place in range(1, _BANDS)] if len(values) else []
    cuts = sorted({float(mark) for mark in marks if mark > values[0]})
    if not cuts:
        raise UserError(f"--by {name}: nothing tells the run's samples apart by it; give cuts, as in {name}:3,5")
    return tuple(cuts)


def read_targets(written: Sequence[str]) -> dict[tuple[str, str], float]:
    """Shares by dimension and value, from `NAME=VALUE:SHARE`. Raises `ValueError`."""
    targets = {}
    for text in written:
        place, _, share = text.rpartition(":")
        name, _, value = place.partition("=")
        try:
            number = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            number = -1
        if not name or not value or not 0 <= number <= 1:
            raise ValueError(f"a target is written NAME=VALUE:SHARE, such as subset=rationality:0.5, not {text!r}")
        targets[name.strip(), value.strip()] = number
    return targets


def topics_of(rows: pl.DataFrame) -> pl.Series:
    """By row, what the dialogue is about: the first telling words of its topic."""
    from efficient_empathy.analytics.topics import topics

    texts = rows["context"].list.eval(pl.element().struct.field("text")).list.join("\n")
    labels, _, note = topics(texts.to_list())
    if note:
        raise UserError(f"--by {TOPIC}: {note}")
    return pl.Series(TOPIC, [labels.names[code] if code >= 0 else None for code in labels.codes], dtype=pl.String)


def values_of(dimensions: Sequence[Dimension], rows: pl.DataFrame) -> list[tuple[str, ...]]:
    """By row, its values, see `Dimension.value`."""
    return list(rows.select(one.value() for one in dimensions).iter_rows()) if dimensions else [()] * len(rows)


def made_values(
    dimensions: Sequence[Dimension], rows: pl.DataFrame, topics: Mapping[str, str], seeds: Sequence[str | None]
) -> list[tuple[str, ...]]:
    """By synthetic sample, its values: `rows` have no topic, which is that of the seed."""
    about = pl.Series(TOPIC, [topics.get(seed or "") for seed in seeds], dtype=pl.String)
    return values_of(dimensions, rows.with_columns(about))
