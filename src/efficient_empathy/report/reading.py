"""Records for the page: read from their files, or the sentence that says why one is not shown; in the page's order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from efficient_empathy.modelling.moe.record import AVERAGE, BASE, MIXED, UNTRAINED
from efficient_empathy.modelling.training.record import ALL, RANDOM, UNION

_REASON = 200


class ShownRecord(BaseModel):
    """A part of a file of which the page shows some keys; others are let pass, and null is as good as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


def read_record(path: Path, kind: type[AnyRecord], shown: str) -> AnyRecord | str:
    """The record in a file, or the sentence that says why it is not shown; `shown` is the file's name in it."""
    try:
        return kind.model_validate_json(path.read_bytes(), context={"file": path})
    except OSError as error:
        return f"{shown} cannot be read ({error.strerror or error})."
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        return f"{shown} cannot be shown ({f'{place}: ' if place else ''}{message})."[:_REASON]


def read_if_there(path: Path, kind: type[AnyRecord], shown: str) -> AnyRecord | str | None:
    """`read_record`, or None where there is no file."""
    return read_record(path, kind, shown) if path.exists() else None


def by_subset(names: Iterable[str], subsets: Sequence[str]) -> list[str]:
    """Names of subsets in the order of the run's `subsets`, others as they come, and what is over all of them last."""
    return sorted(dict.fromkeys(names), key=lambda name: (name == ALL, _rank(name, subsets)))


def by_model(names: Iterable[str], subsets: Sequence[str]) -> list[str]:
    """Names of models in the order of the comparison: base, experts in the order of `subsets`, the MoE last."""
    order = (BASE, *subsets, UNION, ALL, RANDOM, AVERAGE, UNTRAINED, MIXED)
    return sorted(set(names), key=lambda name: (name.startswith(MIXED), _rank(name, order), name))


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
