"""The cheap alternative to a mixture: one dense model whose every weight is the experts' mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from efficient_empathy.modelling.moe.compose import SHARD_BYTES, open_all, write_folder
from efficient_empathy.modelling.moe.matching import match
from efficient_empathy.modelling.moe.plan import averaged
from efficient_empathy.modelling.moe.shards import Progress

_DROPPED = {"_name_or_path", "auto_map"}
"""Of a dense configuration: where it came from, and code that it would have run."""


def average(
    experts: Sequence[str | Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    base: str | Path | None = None,
    shard_bytes: int = SHARD_BYTES,
    key: str = "",
    on_bytes: Progress = lambda count: None,
) -> dict[str, Any]:
    """Average two or more experts' weights into one dense model in the folder `out`; otherwise as `compose`."""
    models = open_all(experts, names, base)
    matched = match(models)
    dense = {k: v for k, v in models[0].config.items() if k not in _DROPPED} | {"use_cache": True}
    names = [model.name for model in models]
    record = {"kind": "average", "family": matched.family.dense, "experts": names, "key": key}
    return write_folder(out, models, matched, dense, (averaged(matched, models),), record, shard_bytes, on_bytes)
