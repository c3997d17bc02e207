"""A model to mix: its configuration, its tensors, its end of turn.

A LoRA adapter is merged into its base's tensors while these are read: W + scale · B · A.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.llm.prompting.rendering import TemplateFaultError, render_chat
from efficient_empathy.modelling.bases import ADAPTER, adapter_config, base_at, require_base, run_of
from efficient_empathy.modelling.moe.tensors import StoredTensor, Tensor, cast, merge_lora, read_folder, read_header
from efficient_empathy.modelling.training.models import bundled_base, is_bundled

CONFIG = ADAPTER
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_KEY = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

_LORA_KEYS = {"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights"}
_HARMLESS = {
    "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "lora_dropout", "modules_to_save", "layers_to_transform", "layers_pattern",
    "megatron_core", "qalora_group_size", "runtime_config", "eva_config", "ensure_weight_tying",
}  # fmt: skip
"""What an adapter's configuration may hold without changing what W + scale · B · A is (PEFT 0.21). Where anything else
is set (`use_dora`, `bias`, `lora_bias`, `layer_replication`, …), merging is another formula, and we refuse."""
_PLAIN_STARTS = {"gaussian", "eva", "orthogonal"}
"""Values of `init_lora_weights` that leave the base's weights as they are (PiSSA, OLoRA, CorDA, LoftQ do not)."""

_MERGE = "merge it into its base with PEFT's merge_and_unload, save that, and give the folder"


def read_config(folder: Path) -> dict[str, Any]:
    """The adapter's configuration. Raises `UserError` for a kind that is not plain LoRA, by its name."""
    config = adapter_config(folder)
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UserError(f"{folder} is an adapter of the kind {kind}, which cannot be merged on the fly: {_MERGE}")
    for key, value in config.items():
        if key not in _LORA_KEYS | _HARMLESS and value not in (None, False, [], {}, "", "none"):
            raise UserError(f"{folder} is a LoRA adapter with {key}, which cannot be merged on the fly: {_MERGE}")
    start = config.get("init_lora_weights", True)
    if isinstance(start, str) and start not in _PLAIN_STARTS:
        raise UserError(f"{folder} began as {start}, which changes the base's weights as well: {_MERGE}")
    return config


def merge_adapter(folder: Path, config: Mapping[str, Any], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The base's tensors with the adapter of `folder` merged in; modules that it trained whole are replaced.

    Raises `UserError` for weights that are missing, broken, or have no place in the base.
    """
    if not (folder / WEIGHTS).exists():
        what = "a pickle, adapter_model.bin; save it with safetensors" if list(folder.glob("*.bin")) else "no weights"
        raise UserError(f"{folder} has {what}: {WEIGHTS} is what is read")
    sides: dict[str, dict[str, StoredTensor]] = {}
    tensors = dict(base)
    for key, tensor in read_header(folder / WEIGHTS).items():
        name = key.removeprefix(_PREFIX)
        if match := _KEY.fullmatch(name):
            sides.setdefault(match["module"], {})[match["side"]] = tensor
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
        tensors[name] = merge_lora(base[name], pair["A"], pair["B"], scale(module, config))
    return tensors


def scale(module: str, config: Mapping[str, Any]) -> float:
    """α ÷ r, or α ÷ √r for rank-stabilised LoRA (arXiv 2312.03732), with the module's own α and r where it has them."""
    rank = _of(config.get("rank_pattern") or {}, module, config["r"])
    alpha = _of(config.get("alpha_pattern") or {}, module, config["lora_alpha"])
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _of(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The first pattern's value that ends the module's name, as PEFT reads them."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), default)


def _fits(weight: Tensor, a: StoredTensor, b: StoredTensor) -> bool:
    two = len(weight.shape) == len(a.shape) == len(b.shape) == 2
    return two and weight.shape == (b.shape[0], a.shape[1]) and a.shape[0] == b.shape[1]


EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model")
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json",
    "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What can be mixed. `tensors` are the dense model's, under its names; nothing of them is in memory."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    base: Checkpoint | None = None
    """Of an adapter: the model that it was trained on."""

    def file(self, name: str) -> Path | None:
        """The file of that name, in the folder or else in the base's; None where there is none."""
        folders = [self.folder] if self.base is None else [self.folder, self.base.folder]
        return next((folder / name for folder in folders if (folder / name).is_file()), None)

    def tokenizer(self) -> dict[str, Path]:
        """The tokenizer's files, all from one folder: the adapter's, else its base's."""
        paths = {name: self.folder / name for name in TOKENIZER_FILES if (self.folder / name).is_file()}
        whole = any(name in paths for name in ("tokenizer.json", "tokenizer.model", "vocab.json"))
        return paths if whole or self.base is None else self.base.tokenizer()


def local(name: str | Path, revision: str | None = None) -> Path:
    """The folder of that name, or the hub model's, downloaded once. Raises `UserError` for neither."""
    folder = bundled_base() if is_bundled(name) else Path(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or str(name).startswith((".", "~")) or str(name).count("/") > 1:
        raise UserError(f"there is no folder {name}: give a checkpoint's folder or a model's name on the hub")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise missing_extra("mix", "train") from error
    try:
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{name} is no folder here, and cannot be had from the hub: {reason}") from error


def open_checkpoint(path: str | Path, *, base: str | Path | None = None, name: str | None = None) -> Checkpoint:
    """Open a dense checkpoint or an adapter; `base` overrides the base that an adapter names.

    Raises `UserError` for what is neither, for pickle weights, broken shards, and adapters that are not plain LoRA.
    """
    folder = local(path)
    name = name or Path(path).name
    if (folder / CONFIG).exists():
        return _on_base(folder, name, base)
    config = read_json(folder / "config.json")
    tensors: dict[str, Tensor] = {
        key: tensor for key, tensor in read_folder(folder).items() if not key.endswith(".rotary_emb.inv_freq")
    }
    if config.get("tie_word_embeddings"):
        tensors.pop(HEAD, None)
    return Checkpoint(name, folder, config, tensors)


def _on_base(folder: Path, name: str, base: str | Path | None) -> Checkpoint:
    config = read_config(folder)
    if base is None:
        base = config.get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            raise UserError(f"{folder / CONFIG} does not say which base the adapter was trained on: give the base")
        run = run_of(folder)
        base = base_at(base, run)
        require_base(base, folder, run, bundled=is_bundled(base))
    beneath = open_checkpoint(local(base, config.get("revision")), name="base")
    tensors = merge_adapter(folder, config, beneath.tensors)
    if beneath.config.get("tie_word_embeddings") and tensors[EMBEDDINGS] != beneath.tensors[EMBEDDINGS]:
        raise UserError(
            f"{folder} trained {EMBEDDINGS}, which its base uses for input and output alike: "
            "merge it into its base with PEFT's merge_and_unload, save that, and give the folder"
        )
    return Checkpoint(name, folder, beneath.config, tensors, beneath)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `UserError` that names the file."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no object")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {path.parent} is no checkpoint and no adapter") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    return content


_REPLY = "REPLYHERE"


def end_tokens(model: Checkpoint) -> list[int]:
    """The ids at which generation stops: what the model's files say, and the token that closes an assistant's turn."""
    tokens: list[int] = []
    generation = model.file("generation_config.json")
    for source in (read_json(generation) if generation else {}, model.config):
        value = source.get("eos_token_id")
        tokens += value if isinstance(value, list) else [] if value is None else [value]
    closing = closing_token(model)
    return list(dict.fromkeys([*tokens, *([] if closing is None else [closing])]))


def closing_token(model: Checkpoint) -> int | None:
    """The special token that the chat template puts behind an assistant's reply; None where that cannot be told."""
    files = model.tokenizer()
    settings = read_json(files["tokenizer_config.json"]) if "tokenizer_config.json" in files else {}
    template = files["chat_template.jinja"].read_text("utf-8") if "chat_template.jinja" in files else None
    template = template or settings.get("chat_template")
    if not isinstance(template, str) or "tokenizer.json" not in files:
        return None
    special = {entry["content"]: entry["id"] for entry in read_json(files["tokenizer.json"]).get("added_tokens", [])}
    behind = _render_dialogue(template, settings).rpartition(_REPLY)[2].lstrip()
    fitting = [token for token in special if behind.startswith(token)]
    return special[max(fitting, key=len)] if fitting else None


def _render_dialogue(template: str, settings: Mapping[str, Any]) -> str:
    """A question and a reply in the template; empty where it does not take them."""
    tokens = {key: _text(settings.get(key)) for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _REPLY}]
    try:
        return render_chat(template, messages, add_generation_prompt=False, **tokens)
    except TemplateFaultError:
        return ""


def _text(token: object) -> str:
    """A special token, which is a string or an object with its content."""
    return str(token["content"]) if isinstance(token, dict) else str(token or "")
