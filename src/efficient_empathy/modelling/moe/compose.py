"""Compose experts of one base into a standard mixture-of-experts checkpoint, or their average, streamed to disk."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import link
from efficient_empathy.modelling.moe.checkpoint import (
    EMBEDDINGS,
    HEAD,
    Checkpoint,
    end_tokens,
    open_checkpoint,
    read_json,
)
from efficient_empathy.modelling.moe.families import (
    MLP,
    SHARED_GATE,
    SHARED_WIDTH,
    Family,
    moe_config,
)
from efficient_empathy.modelling.moe.folder import composed_card, require_ours, require_space, whole
from efficient_empathy.modelling.moe.matching import Architecture, match
from efficient_empathy.modelling.moe.record import COMPOSITION, CompositionRecord, CompositionResult
from efficient_empathy.modelling.moe.settings import Dtype
from efficient_empathy.modelling.moe.shards import Progress, write_shard, write_shards, write_text
from efficient_empathy.modelling.moe.tensors import (
    STORED_AS,
    TORCH_NAMES,
    Float32,
    Tensor,
    cast,
    constant,
    from_array,
    mean,
    read_folder,
    read_header,
)
from efficient_empathy.modelling.moe.ties import least_kept, ties
from efficient_empathy.modelling.training.models import require_finite


def mixture(
    common: Architecture,
    experts: Sequence[Checkpoint],
    base: Checkpoint | None,
    routers: Sequence[Float32] | None,
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """The mixture's tensors, in three kinds: what is outside the experts, from `base` or the experts' mean without one;
    each expert's feed-forward blocks; the routers.

    `routers` has one array of experts × hidden_size for each layer; zeros where it is None, which mix all alike.
    """
    family = common.family
    rest = {name: _shared_tensor(name, experts, base) for name in common.shapes if ".mlp." not in name}
    blocks: dict[str, Tensor] = {}
    gates: dict[str, Tensor] = {}
    if family.shared_expert and HEAD not in rest:
        rest[HEAD] = rest[EMBEDDINGS]  # llama.cpp's Qwen2Moe has no tied embeddings
    shape = (len(experts), common.config["hidden_size"])
    for layer in range(common.config["num_hidden_layers"]):
        block = f"model.layers.{layer}.{family.block}"
        if routers is None:
            gates[f"{block}.gate.weight"] = constant(0.0, common.dtype, shape)
        else:
            gates[f"{block}.gate.weight"] = from_array(_check_router(routers, layer, shape), common.dtype)
        for number, expert in enumerate(experts):
            for name in MLP:
                tensor = expert.tensors[f"model.layers.{layer}.mlp.{name}.weight"]
                blocks[f"{block}.experts.{number}.{family.names[name]}.weight"] = tensor
        rest |= _shared_expert(block, family, common)
    return rest, blocks, gates


def average_tensors(common: Architecture, experts: Sequence[Checkpoint]) -> dict[str, Tensor]:
    """The dense model whose every weight is the experts' mean."""
    return {name: _shared_tensor(name, experts, None) for name in common.shapes}


def _shared_tensor(name: str, experts: Sequence[Checkpoint], base: Checkpoint | None) -> Tensor:
    return base.tensors[name] if base is not None else mean([expert.tensors[name] for expert in experts])


def _check_router(routers: Sequence[Float32], layer: int, shape: tuple[int, int]) -> Float32:
    router = np.asarray(routers[layer], np.float32)
    if router.shape != shape:
        raise UserError(f"the router of layer {layer} has the shape {list(router.shape)}, not {list(shape)}")
    return router


def _shared_expert(block: str, family: Family, common: Architecture) -> Mapping[str, Tensor]:
    """The shared expert that Qwen2Moe has and we do not need: it adds sigmoid(…) × 0."""
    if not family.shared_expert:
        return {}
    hidden, dtype = common.config["hidden_size"], common.dtype
    return {
        f"{block}.shared_expert.gate_proj.weight": constant(0.0, dtype, (SHARED_WIDTH, hidden)),
        f"{block}.shared_expert.up_proj.weight": constant(0.0, dtype, (SHARED_WIDTH, hidden)),
        f"{block}.shared_expert.down_proj.weight": constant(0.0, dtype, (hidden, SHARED_WIDTH)),
        f"{block}.shared_expert_gate.weight": constant(SHARED_GATE, dtype, (1, hidden)),
    }


SHARD_BYTES = 5_000_000_000


SHARED_SOURCES = ("average", "base")


def compose(
    experts: Sequence[str | Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    base: str | Path | None = None,
    shared: str = "average",
    top_k: int = 2,
    routers: Sequence[Float32] | None = None,
    dtype: Dtype = "auto",
    shard_bytes: int = SHARD_BYTES,
    key: str = "",
    on_bytes: Progress = lambda count: None,
) -> CompositionResult:
    """Mix two or more experts (folders or hub names, dense or LoRA adapters) into one mixture in the folder `out`.

    Everything outside the feed-forward blocks is the experts' mean, or the base's (`shared`); `base` overrides the base
    that adapters name, and says which one dense experts have. `routers` holds one array of experts × hidden_size a
    layer, zeros by default. Weights are stored as `dtype`, by default as the experts' are, rounded once. The routers
    lie in a shard of their own, the last one. What was in `out` is replaced, if it
    was composed here. The record in composition.json has `key`, by which a caller may know the folder again.

    Raises `UserError` before anything is written for experts that do not match, for `shared` or `top_k` that make no
    sense, and for a disk that is too small.
    """
    models = open_all(experts, names, base)
    if len(models) < 2:
        raise UserError("mixing takes two or more experts; one alone is merged into its base: add --average")
    if shared not in SHARED_SOURCES:
        raise UserError(f"what is outside the experts comes from {' or '.join(SHARED_SOURCES)}, not {shared!r}")
    if not 1 <= top_k <= len(models):
        raise UserError(f"top-k must be from 1 to {len(models)}, the number of experts, not {top_k}")
    source = _base_of(models, base) if shared == "base" else None
    common = _stored_as(match([*models, source] if source else models), dtype)
    kinds = mixture(common, models, source, routers)
    config = moe_config(common.config, common.family, len(models), top_k, TORCH_NAMES[common.dtype])
    record = _record(
        models,
        common,
        kinds,
        kind="moe",
        family=common.family.moe,
        key=key,
        shared=shared,
        top_k=top_k,
        routers="zero" if routers is None else "given",
    )
    return write_folder(out, models, common, config, kinds, record, shard_bytes, on_bytes)


def _record(
    models: Sequence[Checkpoint], common: Architecture, kinds: Sequence[Mapping[str, Tensor]], **fields: Any
) -> CompositionRecord:
    """The record of a composition; `fields` are those in which a mixture and an average differ."""
    return CompositionRecord(
        experts=tuple(model.name for model in models),
        dtype=TORCH_NAMES[common.dtype],
        parameters=sum(math.prod(tensor.shape) for kind in kinds for tensor in kind.values()),
        end_of_turn=tuple(end_tokens(models[0])),
        **fields,
    )


def open_all(experts: Sequence[str | Path], names: Sequence[str] | None, base: str | Path | None) -> list[Checkpoint]:
    """Open the experts, each under a name of its own. Raises `UserError`."""
    labels = list(names or (Path(expert).name for expert in experts))
    if len(labels) != len(experts):
        raise UserError(f"{len(experts)} experts need as many names, not {len(labels)}")
    if len(set(labels)) != len(labels):
        labels = [f"{name}-{number}" for number, name in enumerate(labels, 1)]
    models = [open_checkpoint(path, base=base, name=name) for path, name in zip(experts, labels, strict=True)]
    for folder in dict.fromkeys(part.folder for model in models for part in (model, model.base) if part is not None):
        require_finite(folder)
    return models


def _base_of(models: Sequence[Checkpoint], base: str | Path | None) -> Checkpoint:
    if base is not None:
        checkpoint = open_checkpoint(base, name="base")
        require_finite(checkpoint.folder)
        return checkpoint
    source = next((model.base for model in models if model.base is not None), None)
    if source is None:
        raise UserError("the experts are dense and do not say what their base is: give it with --base")
    return source


def write_folder(
    out: Path,
    models: Sequence[Checkpoint],
    common: Architecture,
    config: Mapping[str, Any],
    kinds: Sequence[Mapping[str, Tensor]],
    record: CompositionRecord,
    shard_bytes: int,
    on_bytes: Progress,
) -> CompositionResult:
    """Write a whole checkpoint: weights as `common.dtype`, `config`, `record`, a card, the first model's generation
    settings and tokenizer.

    Raises `UserError` where it may not or cannot be written.
    """
    kinds = [{name: cast(tensor, common.dtype) for name, tensor in kind.items()} for kind in kinds]
    size = sum(tensor.nbytes for kind in kinds for tensor in kind.values())
    require_ours(out, [part.folder for model in models for part in (model, model.base) if part is not None])
    require_space(out, size, f"composing {out}")
    model = models[0]
    with whole(out) as work:
        write_shards(work, kinds, shard_bytes, on_bytes=on_bytes)
        write_text(work / "config.json", _json(config))
        write_text(work / "generation_config.json", _json(_generation(model, record.end_of_turn)))
        for name, path in model.tokenizer().items():
            shutil.copyfile(path, work / name)
        write_text(work / "README.md", composed_card(record))
        record.write(work / COMPOSITION)
    return CompositionResult(**dict(record), path=str(out), bytes=size)


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


_ORIGIN_KEYS = {"_name_or_path", "auto_map", "torch_dtype"}
"""Of a dense configuration: where it came from, code that it would have run, and an old name of `dtype`."""


def _stored_as(common: Architecture, dtype: Dtype) -> Architecture:
    return common if dtype == "auto" else replace(common, dtype=STORED_AS[dtype])


def average(
    experts: Sequence[str | Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    base: str | Path | None = None,
    dtype: Dtype = "auto",
    shard_bytes: int = SHARD_BYTES,
    key: str = "",
    on_bytes: Progress = lambda count: None,
) -> CompositionResult:
    """Average the experts' weights into one dense model in the folder `out`; otherwise as `compose`.

    Of one expert alone that is itself: an adapter merged into its base.
    """
    models = open_all(experts, names, base)
    common = _stored_as(match(models), dtype)
    kind = "average" if len(models) > 1 else "merged"
    return _write_dense(out, models, common, average_tensors(common, models), kind, key, shard_bytes, on_bytes)


def merge_by_ties(
    experts: Sequence[str | Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    base: str | Path | None = None,
    dtype: Dtype = "auto",
    shard_bytes: int = SHARD_BYTES,
    key: str = "",
    on_bytes: Progress = lambda count: None,
) -> CompositionResult:
    """Merge two or more experts of one base by TIES into one dense model in the folder `out`; otherwise as `compose`.

    The weights of each are read twice. Raises `UserError` as well where dense experts come without `base`.
    """
    models = open_all(experts, names, base)
    if len(models) < 2:
        raise UserError("TIES takes two or more experts; one alone is merged into its base: leave --ties out")
    source = _base_of(models, base)
    common = _stored_as(match([*models, source]), dtype)
    least = [least_kept(model.tensors, source.tensors) for model in models]
    tensors = {
        name: ties(source.tensors[name], [model.tensors[name] for model in models], least) for name in common.shapes
    }
    return _write_dense(out, models, common, tensors, "ties", key, shard_bytes, on_bytes)


def _write_dense(
    out: Path,
    models: Sequence[Checkpoint],
    common: Architecture,
    tensors: Mapping[str, Tensor],
    kind: str,
    key: str,
    shard_bytes: int,
    on_bytes: Progress,
) -> CompositionResult:
    """A checkpoint of the experts' own architecture."""
    dense = {k: v for k, v in models[0].config.items() if k not in _ORIGIN_KEYS}
    dense |= {"use_cache": True, "dtype": TORCH_NAMES[common.dtype]}
    record = _record(models, common, [tensors], kind=kind, family=common.family.dense, key=key)
    return write_folder(out, models, common, dense, [tensors], record, shard_bytes, on_bytes)


def rewrite(folder: Path, arrays: Mapping[str, Float32], **changes: Any) -> None:
    """Replace the tensors called `arrays` in `folder`; `changes` are those of its record, which the card follows.

    The folder is exchanged as a whole at the end; shards that stay are linked, not copied. Raises `UserError` for a
    tensor that is not there or has another shape.
    """
    there = read_folder(folder)
    for name, array in arrays.items():
        if name not in there or there[name].shape != array.shape:
            raise UserError(f"{folder} has no {name} of the shape {list(array.shape)}: compose it again")
    shards = {there[name].path.name for name in arrays}
    require_space(folder, sum((folder / shard).stat().st_size for shard in shards), f"rewriting {folder}")
    record = CompositionRecord.read(folder / COMPOSITION).model_copy(update=changes)
    with whole(folder) as work:
        for path in folder.iterdir():
            if path.name in shards:
                tensors: dict[str, Tensor] = dict(read_header(path))
                tensors |= {name: from_array(arrays[name], tensors[name].dtype) for name in tensors if name in arrays}
                write_shard(work / path.name, tensors)
            elif path.name not in (COMPOSITION, "README.md"):
                link(path, work / path.name)
        write_text(work / "README.md", composed_card(record))
        record.write(work / COMPOSITION)
