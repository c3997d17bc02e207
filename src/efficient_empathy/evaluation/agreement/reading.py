"""Raters by reference: `NAME=PATH`, PATH or `PATH#WHICH`, of runs, ledgers and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.agreement.rater import Rater
from efficient_empathy.evaluation.agreement.runs import choices, from_ledger, is_ledger
from efficient_empathy.evaluation.agreement.tables import from_table, raters_of
from efficient_empathy.foundation.errors import UserError

_NAMED = re.compile(r"([^=/\\#]+)=(.+)", re.DOTALL)


def read_raters(references: Sequence[str] | Mapping[str, Any]) -> list[Rater]:
    """Every rater that the references name, each name once.

    As a mapping, names to paths or to polars frames (in the form of tables; one of several raters keeps their names).
    Raises `UserError` for what cannot be read and for two raters of one name.
    """
    named = references.items() if isinstance(references, Mapping) else [_named(reference) for reference in references]
    raters = [rater for name, place in named for rater in _read(name, place)]
    if not raters:
        raise UserError("no rater is named: pass runs, ledgers or tables, such as gpt=runs/gpt people.csv")
    for i, rater in enumerate(raters):
        before = next((one for one in raters[:i] if one.name == rater.name), None)
        if before:
            raise UserError(
                f"two raters are called {rater.name!r} ({before.source} and {rater.source}): write NAME=PATH to tell "
                "them apart"
            )
    return raters


def _named(reference: str) -> tuple[str | None, str]:
    found = None if Path(reference).exists() else _NAMED.fullmatch(reference)
    return (found.group(1).strip(), found.group(2)) if found else (None, reference)


def _read(name: str | None, place: Any) -> list[Rater]:
    if isinstance(place, pl.DataFrame):
        rows = [(f"{name}: row {n}", row) for n, row in enumerate(place.iter_rows(named=True), 1)]
        found = raters_of(rows, str(name), str(name))
        return [found[0].named(str(name))] if len(found) == 1 else found
    path, wanted = _parted(str(place))
    if path.is_dir():
        found = list(choices(path, wanted, name))
    elif not path.exists():
        raise UserError(f"{path} is not there: pass a run's folder, a ledger.sqlite or a table of ratings")
    elif is_ledger(path):
        found = from_ledger(path, wanted)
    else:
        found = from_table(path, name, wanted)
    return _renamed(found, name, str(place))


def _renamed(raters: list[Rater], name: str | None, place: str) -> list[Rater]:
    if name is None or [rater.name for rater in raters] == [name]:
        return raters
    if len(raters) > 1:
        told = ", ".join(rater.name for rater in raters[:12])
        raise UserError(f"{place} holds {len(raters)} raters ({told}), so it cannot be {name!r} alone: add #RATER")
    return [raters[0].named(name)]


def _parted(place: str) -> tuple[Path, str | None]:
    """The path and what is wanted of it, parted by the first `#` that leaves a path which is there."""
    if Path(place).exists():
        return Path(place), None
    for found in re.finditer("#", place):
        if Path(place[: found.start()]).exists():
            return Path(place[: found.start()]), place[found.end() :] or None
    return Path(place), None
