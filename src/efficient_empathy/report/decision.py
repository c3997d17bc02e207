"""What the report's sections share: the run's table and current policy, and how records are read from their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from efficient_empathy.foundation.figures.formatting import UNCATEGORISED
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.foundation.run.workspace import change_in_run
from efficient_empathy.modelling.moe.record import AVERAGE, BASE, MIXED, UNTRAINED
from efficient_empathy.modelling.training.record import ALL, RANDOM, UNION
from efficient_empathy.selection.policies import (
    BoundRules,
    Policy,
    RuleSelector,
    Selector,
    TopSelector,
    policy_words,
)
from efficient_empathy.selection.policies.selector import MOST_PROBABLE, PROBABILITIES
from efficient_empathy.selection.stage import active_selector

SCORED_SUBSET = "scored"
"""Where everything with scores goes as long as nothing has been selected."""


@dataclass(frozen=True)
class Decision:
    """The samples of a run, each in a subset. `selector` is None without a current selection: then all are in one."""

    table: RunTable
    selector: Selector | None

    @classmethod
    def of(cls, table: RunTable) -> Decision:
        """Of a run that has scores. Raises `UserError` for one that has none."""
        return cls(table.require("scores"), active_selector(table))

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that scored samples are in, as they are shown."""
        return self.selector.subsets if self.selector else (SCORED_SUBSET,)

    @property
    def otherwise(self) -> str:
        """The subset that is left out; empty without a selection."""
        return self.selector.otherwise if self.selector else ""

    @property
    def decided_on(self) -> str:
        """What the policy was applied to; empty without a selection."""
        return self.table.selecting.decided_on if self.selector and self.table.selecting else ""

    @property
    def policy(self) -> Policy | None:
        """The policy that decided."""
        if isinstance(self.selector, TopSelector):
            return self.selector.policy
        return self.rules.policy if self.rules else None

    @cached_property
    def rules(self) -> BoundRules | None:
        """The rules of a policy that has rules."""
        return self.selector.bound if isinstance(self.selector, RuleSelector) else None

    @property
    def sentences(self) -> list[str]:
        """The policy in words, a sentence a rule."""
        return policy_words(self.policy) if self.policy else []

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes to map, those that the policy compares first before the others; all of them without a policy."""
        by_name = {axis.name: axis for axis in self.table.axes}
        if self.rules:
            names = [name for name in self.rules.policy.names if name in by_name]
        elif isinstance(self.selector, TopSelector):
            names = list(self.selector.amounts)
        else:
            names = list(by_name)
        if len(names) < 2:
            names += [name for name in by_name if name not in names][: 2 - len(names)]
        return tuple(by_name[name] for name in names)

    @property
    def shows_expectations(self) -> bool:
        """Whether counts by score are expected ones: the judge gives distributions and nothing was decided without."""
        single_judge = "answered_by" not in self.table.columns
        return self.table.has_distributions() and single_judge and self.decided_on in ("", PROBABILITIES)

    @property
    def decided_by_distributions(self) -> bool:
        """Whether the judge's distributions decided, with shares matched or sample by sample."""
        return self.decided_on in (PROBABILITIES, MOST_PROBABLE)

    def subset_rows(self, *columns: str) -> pl.LazyFrame:
        """These columns of every sample, and its `subset`; a sample without a category is in `UNCATEGORISED`."""
        category = pl.col("category").fill_null(UNCATEGORISED)
        values = [category if column == "category" else pl.col(column) for column in columns]
        if self.selector:
            return self.table.scan([*columns, "subset"]).select(*values, "subset")
        names = dict.fromkeys([*columns, "state", *self.table.axis_names])
        subset = pl.when(self.table.scored).then(pl.lit(SCORED_SUBSET)).otherwise(pl.lit(UNSCORED)).alias("subset")
        return self.table.scan(names).select(*values, subset)


_REASON = 200


class ShownRecord(BaseModel):
    """A part of a file of which the page shows some keys; others are let pass, and null is as good as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


def read_record(path: Path, kind: type[AnyRecord], title: str) -> AnyRecord | str:
    """The record in a file, or the sentence that says why it is not shown, where the file is called `title`."""
    again = f": run {getattr(kind, 'REMEDY', 'the command that wrote it')} to make it again."
    if change := change_in_run(path):
        return f"{title} {change}{again}"
    try:
        return kind.model_validate_json(path.read_bytes(), context={"file": path})
    except OSError as error:
        return f"{title} cannot be read ({error.strerror or error})."
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        return f"{title} cannot be shown ({f'{place}: ' if place else ''}{message}"[:_REASON] + f"){again}"


def read_if_there(path: Path, kind: type[AnyRecord], title: str) -> AnyRecord | str | None:
    """`read_record`, or None where there is no file, and none was written."""
    return read_record(path, kind, title) if path.exists() or change_in_run(path) else None


def by_subset(names: Iterable[str], subsets: Sequence[str]) -> list[str]:
    """Names of subsets in the order of the run's `subsets`, others as they come, and what is over all of them last."""
    return sorted(dict.fromkeys(names), key=lambda name: (name == ALL, _rank(name, subsets)))


def by_model(names: Iterable[str], subsets: Sequence[str]) -> list[str]:
    """Names of models in the order of the comparison: base, experts in the order of `subsets`, the MoE last."""
    order = (BASE, *subsets, UNION, ALL, RANDOM, AVERAGE, UNTRAINED, MIXED)
    return sorted(set(names), key=lambda name: (name.startswith(MIXED), _rank(name, order), name))


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
