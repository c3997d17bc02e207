"""What models must have in common to be mixed: family, configuration, tokenizer, base, and every tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.checkpoint import Checkpoint, read_json
from efficient_empathy.modelling.moe.families import Family, dense_config, dense_shapes, family_of
from efficient_empathy.modelling.moe.tensors import ON_DISK
from efficient_empathy.modelling.training.record import read_training

_MAY_DIFFER = {"initializer_range", "bos_token_id", "eos_token_id", "pad_token_id", "attention_dropout"}
_TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


@dataclass(frozen=True)
class Architecture:
    """What models that can be mixed have in common."""

    family: Family
    config: Mapping[str, Any]
    """As `families.dense_config` gives it."""
    shapes: Mapping[str, tuple[int, ...]]
    dtype: str
    """Of most of the weights, as safetensors calls it."""


def match(models: Sequence[Checkpoint]) -> Architecture:
    """What the models have in common. Raises `UserError` with the name of the first thing that keeps them apart."""
    first = models[0]
    family = family_of(first.config, first.folder)
    config = dense_config(first.config, family, first.folder)
    for other in models[1:]:
        _same_base(first, other)
        _same_config(first, config, other)
        _same_tokenizer(first, other)
    shapes = dense_shapes(config, family)
    for model in models:
        _same_tensors(model, first, shapes, family)
    sizes: dict[str, int] = {}
    for tensor in first.tensors.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.nbytes
    if not first.tokenizer():
        raise UserError(f"{first.folder} has no tokenizer, without which the mixture could not be used: save it there")
    return Architecture(family, config, shapes, max(sizes, key=lambda dtype: sizes[dtype]))


def _same_base(first: Checkpoint, other: Checkpoint) -> None:
    bases = [model.base.folder.resolve() for model in (first, other) if model.base is not None]
    hashes = [_training_base(model) for model in (first, other)]
    if len(set(bases)) > 1 or (None not in hashes and hashes[0] != hashes[1]):
        names = [str(model.base.folder if model.base else model.folder) for model in (first, other)]
        raise UserError(
            f"{first.folder} and {other.folder} were trained on different bases ({names[0]}, {names[1]}): "
            "experts of one base can be mixed, others would only disturb each other"
        )


def _training_base(model: Checkpoint) -> str | None:
    """What our training wrote down of the base."""
    record = read_training(model.folder)
    return record.base_hash if record else None


def _same_config(first: Checkpoint, config: Mapping[str, Any], other: Checkpoint) -> None:
    if first.config.get("model_type") != other.config.get("model_type"):
        kinds = f"{first.config.get('model_type')} and {other.config.get('model_type')}"
        raise UserError(f"{first.folder} and {other.folder} are of different families: {kinds}")
    theirs = dense_config(other.config, family_of(other.config, other.folder), other.folder)
    for key, value in config.items():
        if key not in _MAY_DIFFER and theirs[key] != value:
            raise UserError(
                f"{first.folder} and {other.folder} cannot be mixed: "
                f"{key} is {value} in one, {theirs[key]} in the other"
            )


def _same_tokenizer(first: Checkpoint, other: Checkpoint) -> None:
    mine, theirs = first.tokenizer(), other.tokenizer()
    for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", *_TEMPLATE_FILES):
        if name not in mine or name not in theirs or mine[name] == theirs[name]:
            continue
        if _meaning(mine[name]) != _meaning(theirs[name]):
            what = "chat templates" if name in _TEMPLATE_FILES else "tokenizers"
            raise UserError(f"{mine[name]} and {theirs[name]} are different {what}: experts that are mixed share one")
    if bool(mine) != bool(theirs):
        without = other if mine else first
        raise UserError(f"{without.folder} has no tokenizer: save it there, so that it can be seen to be the same")


def _meaning(path: Path) -> object:
    """A tokenizer's file without what does not change its tokens: how batches are cut and padded."""
    if path.suffix != ".json":
        return path.read_bytes().strip()
    content = read_json(path)
    return json.dumps({k: v for k, v in content.items() if k not in ("truncation", "padding")}, sort_keys=True)


def _same_tensors(model: Checkpoint, first: Checkpoint, shapes: Mapping[str, tuple[int, ...]], family: Family) -> None:
    for name, tensor in model.tensors.items():
        if name not in shapes:
            raise UserError(f"{model.folder} has {name}, which has no place in a {family.moe}: it cannot be mixed")
        if tensor.shape != shapes[name]:
            raise UserError(
                f"{name} of {model.folder} has the shape {list(tensor.shape)} where its configuration "
                f"says {list(shapes[name])}: it cannot be mixed"
            )
        if tensor.dtype not in ON_DISK:
            raise UserError(f"{name} of {model.folder} is {tensor.dtype}: quantised weights cannot be mixed")
        if name in first.tensors and tensor.dtype != first.tensors[name].dtype:
            raise UserError(
                f"{name} is {first.tensors[name].dtype} in {first.folder} and {tensor.dtype} in {model.folder}: "
                "save both as the same kind of number"
            )
    if missing := next((name for name in shapes if name not in model.tensors), None):
        raise UserError(f"{model.folder} lacks {missing}: it is no whole {family.dense}")
