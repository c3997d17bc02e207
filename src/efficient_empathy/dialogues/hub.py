"""Data sets of the Hugging Face hub, streamed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues.rows import SPLITS, Row
from efficient_empathy.foundation.errors import UserError, missing_extra

_PREFIX = "hub:"
_FILE_ENDINGS = {".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt", ".xlsx", ".xlsm", ".ndjson"}
_FILE_ENDINGS |= {".bz2", ".gz", ".xz", ".zip", ".zst"}
_REASON_SHOWN = 300
"""Enough for the names of a data set's configurations, where one must be named."""


@dataclass(frozen=True, slots=True)
class HubId:
    """A data set on the hub (`org/name`), or a folder that `load_dataset` reads; and one split, or all."""

    name: str
    split: str | None = None

    def __str__(self) -> str:
        return f"{_PREFIX}{self.name}" + (f":{self.split}" if self.split else "")


def hub_id(source: str) -> HubId | None:
    """The hub id that `source` is: with `hub:`, or `org/name` where no file or folder of the name can be meant."""
    if source.startswith(_PREFIX):
        name, _, split = source.removeprefix(_PREFIX).partition(":")
        return HubId(name, split or None)
    path = Path(source)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", source) or path.suffix in _FILE_ENDINGS or path.parent.exists():
        return None
    return HubId(source)


def hub_rows(hub: HubId) -> Iterator[Row]:
    """The data set's rows, streamed, split by split."""
    for split, dataset in _splits(hub).items():
        rows = enumerate(dataset, 1)
        while True:
            try:
                number, values = next(rows)
            except StopIteration:
                break
            except Exception as error:
                raise _unreadable(hub, error) from error
            yield Row(f"hub:{hub.name}:{split} row {number}", dict(values), hub.name, SPLITS.get(split.lower(), split))


def _splits(hub: HubId) -> Mapping[str, Any]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise missing_extra(f"reading {hub}, which is not a file or folder here,", "hub") from error
    try:
        splits: Mapping[str, Any] = load_dataset(hub.name, streaming=True)
    except Exception as error:
        raise _unreadable(hub, error) from error
    if hub.split is None:
        return splits
    if hub.split not in splits:
        raise UserError(f"{hub.name} has no split {hub.split!r}: it has {', '.join(splits)}")
    return {hub.split: splits[hub.split]}


def _unreadable(hub: HubId, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:_REASON_SHOWN] or type(error).__name__
    return UserError(f"cannot read {hub} from the Hugging Face hub ({reason}): check the name and the network")
