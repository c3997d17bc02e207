"""LoRA adapters, merged into their base's tensors while these are read: W + scale · B · A."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.stored import Stored, read_header
from efficient_empathy.modelling.moe.tensors import Tensor, cast, merged

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_KEY = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

_READ = {"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights"}
_HARMLESS = {
    "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "lora_dropout", "modules_to_save", "layers_to_transform", "layers_pattern",
    "megatron_core", "qalora_group_size", "runtime_config", "eva_config", "ensure_weight_tying",
}  # fmt: skip
"""What an adapter's configuration may hold without changing what W + scale · B · A is (PEFT 0.21). Where anything else
is set (`use_dora`, `bias`, `lora_bias`, `layer_replication`, …), merging is another formula, and we refuse."""
_PLAIN_STARTS = {"gaussian", "eva", "orthogonal"}
"""Of `init_lora_weights`, those that leave the base's weights as they are (PiSSA, OLoRA, CorDA, LoftQ do not)."""

_MERGE = "merge it into its base with PEFT's merge_and_unload, save that, and give the folder"


def read_config(folder: Path) -> dict[str, Any]:
    """The adapter's configuration. Raises `UserError` for a kind that is not plain LoRA, by its name."""
    path = folder / CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind = config["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no adapter's configuration: save the adapter again") from error
    if kind != "LORA":
        raise UserError(f"{folder} is an adapter of the kind {kind}, which cannot be merged on the fly: {_MERGE}")
    for key, value in config.items():
        if key not in _READ | _HARMLESS and value not in (None, False, [], {}, "", "none"):
            raise UserError(f"{folder} is a LoRA adapter with {key}, which cannot be merged on the fly: {_MERGE}")
    start = config.get("init_lora_weights", True)
    if isinstance(start, str) and start not in _PLAIN_STARTS:
        raise UserError(f"{folder} began as {start}, which changes the base's weights as well: {_MERGE}")
    return config


def adapted(folder: Path, config: Mapping[str, Any], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The base's tensors with the adapter of `folder` merged in; modules that it trained whole are replaced.

    Raises `UserError` for weights that are missing, broken, or have no place in the base.
    """
    if not (folder / WEIGHTS).exists():
        what = "a pickle, adapter_model.bin; save it with safetensors" if list(folder.glob("*.bin")) else "no weights"
        raise UserError(f"{folder} has {what}: {WEIGHTS} is what is read")
    sides: dict[str, dict[str, Stored]] = {}
    tensors = dict(base)
    for key, tensor in read_header(folder / WEIGHTS).items():
        name = key.removeprefix(_PREFIX)
        if found := _KEY.fullmatch(name):
            sides.setdefault(found["module"], {})[found["side"]] = tensor
        elif name in base and base[name].shape == tensor.shape:
            tensors[name] = cast(tensor, base[name].dtype)
        elif ".lora_" in name:
            raise UserError(f"{folder / WEIGHTS} holds {key}, which cannot be merged on the fly: {_MERGE}")
        else:
            raise UserError(f"{folder / WEIGHTS} holds {key}, which has no place in the base: is it this base's?")
    for module, pair in sides.items():
        name = f"{module}.weight"
        if set(pair) != {"A", "B"} or name not in base or not _fits(base[name], pair["A"], pair["B"]):
            raise UserError(
                f"{folder / WEIGHTS} has an update of {name} that does not fit the base: is it this base's?"
            )
        tensors[name] = merged(base[name], pair["A"], pair["B"], scale(module, config))
    return tensors


def scale(module: str, config: Mapping[str, Any]) -> float:
    """α ÷ r, or α ÷ √r for rank-stabilised LoRA (arXiv 2312.03732), with the module's own α and r where it has them."""
    rank = _of(config.get("rank_pattern") or {}, module, config["r"])
    alpha = _of(config.get("alpha_pattern") or {}, module, config["lora_alpha"])
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _of(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The first pattern's value that ends the module's name, as PEFT reads them."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), default)


def _fits(weight: Tensor, a: Stored, b: Stored) -> bool:
    two = len(weight.shape) == len(a.shape) == len(b.shape) == 2
    return two and weight.shape == (b.shape[0], a.shape[1]) and a.shape[0] == b.shape[1]
