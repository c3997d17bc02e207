"""The table of each run, the policies that fit it, and what any of them selects; the latest stay in memory."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
from starlette.exceptions import HTTPException

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.parts import readable, signature
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.policies import (
    Decide,
    Policy,
    RulePolicy,
    RuleSelector,
    Scales,
    Selector,
    load_policy,
    make_selector,
    policy_names,
    policy_of_definition,
)
from efficient_empathy.selection.policies.distributions import ReadyBatch
from efficient_empathy.selection.stage import columns_for, scan_for, subsets_of

UNSCORED_CODE = 255
"""The code of a row without scores."""
OWN = "run:"
"""Before the name of the run's own policy, where no policy of that name says the same."""
_MOST_BYTES = 1 << 28
_BYTES_A_NUMBER = 8
_NUMBERS_A_LEVEL = 2
"""That a batch made ready has of each sample: the probability and the moment."""
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Choice:
    """A policy at its thresholds, what it decides on, the seed that breaks ties, and how much may be synthetic."""

    policy: Policy
    decide: Decide = "auto"
    seed: int = 0
    synthetic_share: float | None = None

    @property
    def key(self) -> str:
        """The same for choices that select the same."""
        return json.dumps([self.policy.definition(), self.decide, self.seed, self.synthetic_share], sort_keys=True)

    def selector(self, scales: Scales) -> Selector:
        """The policy on these axes. Raises `UserError` where it does not fit them."""
        return make_selector(self.policy, scales, decide=self.decide, seed=self.seed)


@dataclass(frozen=True, slots=True)
class Selection:
    """The subset of every sample as its position in `subsets`; `UNSCORED_CODE` for those without scores."""

    subsets: tuple[str, ...]
    codes: Codes
    decided_on: str


def scales_of(table: RunTable) -> Scales:
    """The rubric's axes, each with its lowest and highest score. Raises `UserError` without current scores."""
    return {axis.name: (axis.low, axis.high) for axis in table.require("scores").axes}


def axes_of(policy: Policy, scales: Scales) -> tuple[str, ...]:
    """The axes that a policy looks at, in the rubric's order."""
    if isinstance(policy, RulePolicy):
        return policy.bind(scales).axes
    amounts = policy.amounts(scales)
    return tuple(axis for axis in scales if axis in amounts or axis in policy.names)


def last_choice(table: RunTable) -> Choice | None:
    """What the run's last selection was made with; None where it was never selected.

    Raises `UserError` where the manifest holds no valid policy.
    """
    if (record := table.selecting) is None:
        return None
    decide = cast(Decide, record.decide or "auto")
    return Choice(policy_of_definition(record.policy), decide, record.seed, record.synthetic_share)


def policies_for(table: RunTable) -> dict[str, Policy]:
    """The policies that can be applied to the run's scores: bundled and installed ones, and the run's own, by key."""
    scales = scales_of(table)
    fitting: dict[str, Policy] = {}
    for name in policy_names():
        try:
            policy = load_policy(name)
            make_selector(policy, scales)
        except UserError:
            continue
        fitting[name] = policy
    if last := last_choice(table):
        key = key_of(last.policy, fitting)
        if key not in fitting:
            make_selector(last.policy, scales)
            fitting = {key: last.policy, **fitting}
    return fitting


def key_of(policy: Policy, fitting: Mapping[str, Policy]) -> str:
    """The key of a policy among those that fit: its name where that says the same, else that of the run's own."""
    same_name = fitting.get(policy.name)
    if same_name is None or set(same_name.thresholds) != set(policy.thresholds):
        return OWN + policy.name
    same = same_name.with_thresholds(**policy.thresholds).definition() == policy.definition()
    return policy.name if same else OWN + policy.name


def choice_of(table: RunTable, query: Mapping[str, str]) -> Choice:
    """The choice in a query: `policy` (a key of `policies_for`), `t.NAME` for each threshold, `decide`.

    The seed, and how much may be synthetic, are those of the run's last selection. Raises `UserError` for a policy, a
    threshold or a `decide` that there is not.
    """
    policies = policies_for(table)
    key = query.get("policy") or next(iter(policies), "")
    if key not in policies:
        raise UserError(f"there is no policy {key[:80]!r} for this run: choose one of {', '.join(policies) or 'none'}")
    decide = query.get("decide") or "auto"
    if decide not in get_args(Decide):
        raise UserError(f"decide is {decide[:40]!r}: it must be one of {', '.join(get_args(Decide))}")
    values = {name[2:]: number_of(name, value) for name, value in query.items() if name.startswith("t.")}
    policy = policies[key].with_thresholds(**values)
    policy.require_axes(scales_of(table))
    last = last_choice(table)
    return Choice(policy, cast(Decide, decide), last.seed if last else 0, last.synthetic_share if last else None)


def number_of(name: str, value: str) -> float:
    """A threshold's value from a query, whole where it is. Raises `UserError` for what is no number."""
    try:
        number = float(value)
        return int(number) if number.is_integer() else number
    except ValueError as error:
        raise UserError(f"{name} is {value[:40]!r}: it must be a number") from error


class Selections:
    """What policies select, worked out once for the same files; the last ones are held, and so are the scores.

    With the scores it holds what no threshold changes of them.
    """

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[object, ...], Selection] = OrderedDict()
        self._rows: tuple[tuple[object, ...], pl.DataFrame] | None = None
        self._ready: tuple[tuple[object, ...], list[ReadyBatch]] | None = None
        self._lock = threading.Lock()

    def of(self, table: RunTable, choice: Choice) -> Selection:
        """The selection. Raises `UserError` where the policy does not fit, or the scores are not current."""
        key = (table.workspace.root, table.signature, choice.key)
        with self._lock:
            if (selection := self._recent.get(key)) is not None:
                self._recent.move_to_end(key)
                return selection
        selection = self._select(table, choice)
        with self._lock:
            self._recent[key] = selection
            while len(self._recent) > 1 and sum(one.codes.nbytes for one in self._recent.values()) > _MOST_BYTES:
                self._recent.popitem(last=False)
        return selection

    def _select(self, table: RunTable, choice: Choice) -> Selection:
        selector = choice.selector(scales_of(table))
        with readable(table.workspace.scores):
            rows, key = self._scan(table, choice)
            if key and isinstance(selector, RuleSelector) and selector.by_probability(table.columns):
                selector = replace(selector, ready=self._ready_batches(key, selector, rows, table.count))
            subsets, decided_on = subsets_of(rows, selector, choice.synthetic_share)
        places = {name: code for code, name in enumerate(selector.subsets)}
        codes = subsets.replace_strict(places, default=UNSCORED_CODE, return_dtype=pl.UInt8)
        return Selection(selector.subsets, codes.to_numpy(), decided_on)

    def _scan(self, table: RunTable, choice: Choice) -> tuple[pl.LazyFrame, tuple[object, ...]]:
        """What the selector reads; with a key it is from memory, as where the run is not too large for that."""
        extra = ["split"] if choice.synthetic_share is not None else []
        columns = tuple(columns_for(table, choice.policy))
        key = (table.workspace.root, table.signature, *columns, *extra)
        with self._lock:
            if self._rows and self._rows[0] == key:
                return self._rows[1].lazy(), key
        rows = scan_for(table, choice.policy, extra)
        numbers = sum(prod(getattr(kind, "shape", (1,))) for kind in rows.collect_schema().dtypes())
        if table.count * numbers * _BYTES_A_NUMBER > _MOST_BYTES:
            return rows, ()
        frame = rows.collect(engine="streaming").rechunk()
        with self._lock:
            self._rows = (key, frame)
        return frame.lazy(), key

    def _ready_batches(
        self, key: tuple[object, ...], selector: RuleSelector, rows: pl.LazyFrame, count: int
    ) -> list[ReadyBatch] | None:
        """The batches of so many rows in memory; None where they would take too much of it."""
        axes = selector.bound.axes
        levels = sum(high - low + 1 for low, high in map(selector.bound.scales.__getitem__, axes))
        if count * levels * _NUMBERS_A_LEVEL * _BYTES_A_NUMBER > _MOST_BYTES:
            return None
        key = (*key, axes, selector.seed)
        with self._lock:
            if self._ready and self._ready[0] == key:
                return self._ready[1]
        batches = list(selector.ready_batches(rows))
        with self._lock:
            self._ready = (key, batches)
        return batches


UNCATEGORISED = "uncategorised"
"""What pages call the category of samples that have none."""
_MOST_TABLES = 16
_TRIES = 3
T = TypeVar("T")


class Tables:
    """The tables of runs, the last ones that were asked for. Any thread may ask."""

    def __init__(self) -> None:
        self._recent: OrderedDict[Path, RunTable] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, workspace: Workspace) -> RunTable:
        """The run's table. Raises `UserError` where the manifest cannot be read."""
        with self._lock:
            table = self._recent.get(workspace.root)
            if table is None or table.signature != signature(workspace):
                table = self._recent[workspace.root] = RunTable(workspace)
                while len(self._recent) > _MOST_TABLES:
                    self._recent.popitem(last=False)
            self._recent.move_to_end(workspace.root)
            return table

    def steady(self, workspace: Workspace, work: Callable[[RunTable], T]) -> T:
        """What `work` makes of a table whose files did not change meanwhile; it is tried three times.

        Raises `HTTPException` 409 where they change every time.
        """
        for _ in range(_TRIES):
            before = signature(workspace)
            try:
                table = self.of(workspace)
                result = work(table)
            except UserError:
                if signature(workspace) == before:
                    raise
                continue
            if signature(workspace) == table.signature:
                return result
        raise HTTPException(409, "The run's files are being written right now: try again in a moment.")
