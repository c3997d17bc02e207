"""A model to mix, dense or a LoRA adapter on its base: its configuration, its tensors, its end of turn."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.modelling.moe import adapter
from efficient_empathy.modelling.moe.stored import read_folder
from efficient_empathy.modelling.moe.tensors import Tensor

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
        found = {name: self.folder / name for name in TOKENIZER_FILES if (self.folder / name).is_file()}
        whole = any(name in found for name in ("tokenizer.json", "tokenizer.model", "vocab.json"))
        return found if whole or self.base is None else self.base.tokenizer()


def local(name: str | Path, revision: str | None = None) -> Path:
    """The folder of that name, or the hub model's, downloaded once. Raises `UserError` for neither."""
    folder = Path(name)
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
    if (folder / adapter.CONFIG).exists():
        return _on_base(folder, name, base)
    config = read_json(folder / "config.json")
    tensors: dict[str, Tensor] = {
        key: tensor for key, tensor in read_folder(folder).items() if not key.endswith(".rotary_emb.inv_freq")
    }
    if config.get("tie_word_embeddings"):
        tensors.pop(HEAD, None)
    return Checkpoint(name, folder, config, tensors)


def _on_base(folder: Path, name: str, base: str | Path | None) -> Checkpoint:
    config = adapter.read_config(folder)
    base = base or config.get("base_model_name_or_path")
    if not base:
        raise UserError(f"{folder / adapter.CONFIG} does not say which base the adapter was trained on: give the base")
    beneath = open_checkpoint(local(base, config.get("revision")), name="base")
    tensors = adapter.adapted(folder, config, beneath.tensors)
    if beneath.config.get("tie_word_embeddings") and tensors[EMBEDDINGS] != beneath.tensors[EMBEDDINGS]:
        raise UserError(
            f"{folder} trained {EMBEDDINGS}, which its base uses for input and output alike: "
            "merge it into its base with PEFT's merge_and_unload, save that, and give the folder"
        )
    return Checkpoint(name, folder, beneath.config, tensors, beneath)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `UserError` that names the file."""
    try:
        loaded = json.loads(path.read_text("utf-8"))
        if not isinstance(loaded, dict):
            raise ValueError("it is no object")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {path.parent} is no checkpoint and no adapter") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    return loaded


_REPLY = "REPLYHERE"
_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")


def end_tokens(model: Checkpoint) -> list[int]:
    """The ids at which generation stops: what the model's files say, and the token that closes an assistant's turn."""
    said: list[int] = []
    generation = model.file("generation_config.json")
    for source in (read_json(generation) if generation else {}, model.config):
        value = source.get("eos_token_id")
        said += value if isinstance(value, list) else [] if value is None else [value]
    closing = closing_token(model)
    return list(dict.fromkeys([*said, *([] if closing is None else [closing])]))


def closing_token(model: Checkpoint) -> int | None:
    """The special token that the chat template puts behind an assistant's reply; None where that cannot be told."""
    files = model.tokenizer()
    settings = read_json(files["tokenizer_config.json"]) if "tokenizer_config.json" in files else {}
    template = files["chat_template.jinja"].read_text("utf-8") if "chat_template.jinja" in files else None
    template = template or settings.get("chat_template")
    if not isinstance(template, str) or "tokenizer.json" not in files:
        return None
    special = {entry["content"]: entry["id"] for entry in read_json(files["tokenizer.json"]).get("added_tokens", [])}
    behind = _rendered(template, settings).rpartition(_REPLY)[2].lstrip()
    fitting = [token for token in special if behind.startswith(token)]
    return special[max(fitting, key=len)] if fitting else None


def _rendered(template: str, settings: Mapping[str, Any]) -> str:
    """A question and a reply in the template, as transformers renders it: sandboxed, with its few functions."""
    import json

    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: ""}
    tokens = {key: _text(settings.get(key)) for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _REPLY}]
    try:
        return environment.from_string(_GENERATION.sub("", template)).render(
            messages=messages, add_generation_prompt=False, **tokens
        )
    except (TemplateError, TypeError, ValueError):
        return ""


def _text(token: object) -> str:
    """A special token, which is a string or an object with its content."""
    return str(token["content"]) if isinstance(token, dict) else str(token or "")
