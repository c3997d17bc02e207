"""Experts of one base → a standard mixture-of-experts checkpoint, streamed: nothing is merged on disk before."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.card import composed_card
from efficient_empathy.modelling.moe.checkpoint import Checkpoint, open_checkpoint, read_json
from efficient_empathy.modelling.moe.end_of_turn import end_tokens
from efficient_empathy.modelling.moe.families import moe_config
from efficient_empathy.modelling.moe.folder import RECORD, require_ours, require_space, whole
from efficient_empathy.modelling.moe.matching import Matched, match
from efficient_empathy.modelling.moe.numbers import TORCH_NAMES, Float32
from efficient_empathy.modelling.moe.plan import mixture
from efficient_empathy.modelling.moe.shards import Progress, write_shards, write_text
from efficient_empathy.modelling.moe.tensors import Tensor

SHARD_BYTES = 5_000_000_000
SHARED = ("average", "base")


def compose(
    experts: Sequence[str | Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    base: str | Path | None = None,
    shared: str = "average",
    top_k: int = 2,
    routers: Sequence[Float32] | None = None,
    shard_bytes: int = SHARD_BYTES,
    key: str = "",
    on_bytes: Progress = lambda count: None,
) -> dict[str, Any]:
    """Mix two or more experts (folders or hub names, dense or LoRA adapters) into one mixture in the folder `out`.

    Everything outside the feed-forward blocks is the experts' mean, or the base's (`shared`); `base` overrides the base
    that adapters name, and says which one dense experts have. `routers` holds one array of experts × hidden_size a
    layer, zeros by default. The routers lie in a shard of their own, the last one. What was in `out` is replaced, if it
    was composed here. Returns the record that is kept in composition.json (with `key`, by which a caller may know the
    folder again), `path` and `bytes`.
    Raises `UserError` before anything is written for experts that do not match, for `shared` or `top_k` that make no
    sense, and for a disk that is too small.
    """
    models = open_all(experts, names, base)
    if shared not in SHARED:
        raise UserError(f"what is outside the experts comes from {' or '.join(SHARED)}, not {shared!r}")
    if not 1 <= top_k <= len(models):
        raise UserError(f"top-k must be from 1 to {len(models)}, the number of experts, not {top_k}")
    source = _base_of(models, base) if shared == "base" else None
    matched = match([*models, source] if source else models)
    kinds = mixture(matched, models, source, routers)
    config = moe_config(matched.config, matched.family, len(models), top_k, TORCH_NAMES[matched.dtype])
    record = {
        "kind": "moe",
        "family": matched.family.moe,
        "experts": [model.name for model in models],
        "shared": shared,
        "top_k": top_k,
        "routers": "zero" if routers is None else "given",
        "key": key,
    }
    return write_folder(out, models, matched, config, kinds, record, shard_bytes, on_bytes)


def open_all(experts: Sequence[str | Path], names: Sequence[str] | None, base: str | Path | None) -> list[Checkpoint]:
    """Open the experts, of which there must be two or more with different names. Raises `UserError`."""
    if len(experts) < 2:
        raise UserError("mixing takes two or more experts")
    chosen = list(names or (Path(expert).name for expert in experts))
    if len(chosen) != len(experts):
        raise UserError(f"{len(experts)} experts need as many names, not {len(chosen)}")
    if len(set(chosen)) != len(chosen):
        chosen = [f"{name}-{number}" for number, name in enumerate(chosen, 1)]
    return [open_checkpoint(path, base=base, name=name) for path, name in zip(experts, chosen, strict=True)]


def _base_of(models: Sequence[Checkpoint], base: str | Path | None) -> Checkpoint:
    if base is not None:
        return open_checkpoint(base, name="base")
    found = next((model.base for model in models if model.base is not None), None)
    if found is None:
        raise UserError("the experts are dense and do not say what their base is: give it with --base")
    return found


def write_folder(
    out: Path,
    models: Sequence[Checkpoint],
    matched: Matched,
    config: Mapping[str, Any],
    kinds: Sequence[Mapping[str, Tensor]],
    record: Mapping[str, Any],
    shard_bytes: int,
    on_bytes: Progress,
) -> dict[str, Any]:
    """Write a whole checkpoint: weights, `config`, the first model's generation settings and tokenizer, card, `record`.

    Returns the record with `path` and `bytes`. Raises `UserError` where it may not or cannot be written.
    """
    tensors = [tensor for kind in kinds for tensor in kind.values()]
    needed = sum(tensor.nbytes for tensor in tensors)
    require_ours(out, [part.folder for model in models for part in (model, model.base) if part is not None])
    require_space(out, needed, f"composing {out}")
    model = models[0]
    ends = end_tokens(model)
    record = {
        **record,
        "dtype": TORCH_NAMES[matched.dtype],
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors),
        "end_of_turn": ends,
    }
    with whole(out) as work:
        write_shards(work, kinds, shard_bytes, on_bytes=on_bytes)
        write_text(work / "config.json", _json(config))
        write_text(work / "generation_config.json", _json(_generation(model, ends)))
        for name, path in model.tokenizer().items():
            shutil.copyfile(path, work / name)
        write_text(work / "README.md", composed_card(record))
        write_text(work / RECORD, _json(record))
    return {**record, "path": str(out), "bytes": needed}


def _generation(model: Checkpoint, ends: Sequence[int]) -> dict[str, Any]:
    """The model's own settings for generation, stopping at the end of a turn as well."""
    path = model.file("generation_config.json")
    settings = read_json(path) if path else {}
    tokens = {key: model.config[key] for key in ("bos_token_id", "pad_token_id") if model.config.get(key) is not None}
    settings = {**tokens, **settings, "use_cache": True}
    settings.pop("_from_model_config", None)
    return {**settings, "eos_token_id": ends[0] if len(ends) == 1 else list(ends)} if ends else settings


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
