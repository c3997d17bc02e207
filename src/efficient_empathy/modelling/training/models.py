"""Find and load models and tokenizers, and ask what this machine can do.

Only safetensors are loaded, no code of the model's own, and adapters on their base.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.model_folder import model_files, model_hash
from efficient_empathy.foundation.processor import multiplies_bf16
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.bases import ADAPTER, adapter_config, base_at, check_model, require_base, run_of
from efficient_empathy.modelling.training.record import has_files_of, read_training
from efficient_empathy.modelling.training.settings import TrainingSettings

BUNDLED_NAME = "the bundled tiny base"
_BUNDLED = ("efficient_empathy", "assets", "base")
"""How the bundled base's folder ends, wherever the package is installed."""


def bundled_base() -> Path:
    """The folder of the package's own base model. Raises `UserError` where this installation does not have it."""
    folder = Path(str(files("efficient_empathy") / "assets" / "base")).resolve()
    if not (folder / "config.json").exists():
        raise UserError("this installation has no bundled base model: name one with --base FOLDER or --base HUB_NAME")
    return folder


def is_bundled(base: Path | str) -> bool:
    """Whether a base is the bundled one: its folder, or the same in another installation, which may be gone."""
    path = Path(base).expanduser()
    if not path.is_absolute() or path.parts[-3:] != _BUNDLED:
        return False
    bundled = bundled_base()
    return not path.is_dir() or path.resolve() == bundled or model_hash(path) == model_hash(bundled)


def resolve(base: str | None) -> Path | str:
    """A base as the loaders take it: the bundled one for None, a folder where there is one, else a hub name.

    Raises `UserError` for a path that is not there.
    """
    if base is None or is_bundled(base):
        return bundled_base()
    path = Path(base).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.suffix.lower() == ".gguf" and path.is_file():
        raise UserError(f"{base} is a GGUF file, which only training unpacks: name the folder that it made in its run")
    if path.is_absolute() or base.startswith((".", "~")) or base.count("/") != 1 or path.parent.exists():
        raise UserError(
            f"there is no model at {base}: name a folder with a config.json, a GGUF file, an installed package that "
            "holds one, or a hub name (org/name)"
        )
    return base


Dtype = Literal["fp32", "bf16", "auto"]


def is_adapter(path: Path | str) -> bool:
    """Whether a folder holds a LoRA adapter and no model of its own."""
    return isinstance(path, Path) and (path / ADAPTER).exists() and not (path / "config.json").exists()


def base_of(adapter: Path) -> Path | str:
    """The base that an adapter was trained on.

    Raises `UserError` when it is not said or not there, and where the adapter may not name it (`require_base`).
    """
    name = adapter_config(adapter).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise UserError(f"{adapter / ADAPTER} does not say which base it belongs to: train it again")
    run = run_of(adapter)
    name = base_at(name, run)
    require_base(name, adapter, run, bundled=is_bundled(name))
    return resolve(name)


def load_tokenizer(path: Path | str, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model or an adapter, with a padding token set.

    Raises `UserError` where it cannot be loaded, has no chat template, or no end-of-sequence token.
    """
    from transformers import AutoTokenizer

    with quiet(), _load_errors(f"the tokenizer of {path}", trust_remote_code):
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    if not tokenizer.chat_template:
        raise UserError(
            f"{path} has no chat template, so it is no chat model: take its instruct version, "
            "or put a chat_template.jinja into its folder"
        )
    if tokenizer.eos_token is None:
        raise UserError(f"the tokenizer of {path} has no eos_token: set it in tokenizer_config.json")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    path: Path | str,
    *,
    dtype: Dtype = "auto",
    device: str | None = None,
    attention: str | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Any:
    """A causal language model in evaluation mode, from a folder or a hub name; an adapter is loaded on its base.

    `dtype` auto is the one that the weights are stored in. `device` is the GPU by default where there is one;
    `attention` is transformers' `attn_implementation`. Raises `UserError` for weights in pickle files and models with
    code of their own, unless these are allowed, and for what is no model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    path = resolve(str(path))
    if is_adapter(path):
        return _load_adapter(Path(path), dtype, device, attention, allow_pickle, trust_remote_code)
    if not allow_pickle:
        refuse_pickle(path)
    if isinstance(path, Path):
        check_model(path)
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "auto": "auto"}
    with quiet(), _load_errors(f"the model {path}", trust_remote_code):
        model: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtypes[dtype],
            attn_implementation=attention,
            use_safetensors=None if allow_pickle else True,
            trust_remote_code=trust_remote_code,
        )
    _require_finite_parameters(model, path)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def _load_adapter(
    adapter: Path,
    dtype: Dtype,
    device: str | None,
    attention: str | None,
    allow_pickle: bool,
    trust_remote_code: bool,
) -> Any:
    from peft import PeftModel

    if not allow_pickle and not (adapter / "adapter_model.safetensors").exists():
        raise UserError(f"{adapter} has no adapter_model.safetensors: save the adapter as safetensors")
    model = load_model(
        base_of(adapter), dtype=dtype, device=device, attention=attention,
        allow_pickle=allow_pickle, trust_remote_code=trust_remote_code,
    )  # fmt: skip
    with quiet(), _load_errors(f"the adapter {adapter}", trust_remote_code):
        model = PeftModel.from_pretrained(model, adapter).eval()
    require_finite(adapter)
    return model


def require_finite(folder: Path) -> None:
    """Raise `UserError` that names the tensor and its file when a number in a folder's safetensors is not finite."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with _load_errors(f"the weights {path}", True), safe_open(path, "pt") as file:
            bad = next((name for name in file.keys() if not _is_finite(file.get_tensor(name))), None)  # noqa: SIM118
        if bad is not None:
            raise _not_finite(f"{bad} in {path}")


def _require_finite_parameters(model: Any, path: Path | str) -> None:
    """Raise `UserError` when a number of a loaded model is not finite; the sums take a moment where it lies."""
    if bad := next((name for name, tensor in model.named_parameters() if not _is_finite(tensor.detach())), None):
        if isinstance(path, Path):
            require_finite(path)
        raise _not_finite(f"{bad} of the model {path}")


def _is_finite(tensor: Any) -> bool:
    import torch

    if not tensor.is_floating_point() or tensor.itemsize < 2 or tensor.is_meta:
        return True
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())  # the sum alone may overflow


def _not_finite(what: str) -> UserError:
    return UserError(
        f"{what} has numbers that are not finite (NaN or infinity): the training that made it came apart, or the file "
        "is damaged. Train it again with a lower --learning-rate or --set precision=fp32, or copy it again"
    )


def require_intact(workspace: Workspace, folder: Path) -> None:
    """Raise `UserError` unless the files of one of the run's own models are as training or mixing left them.

    An expert that the manifest does not know, such as one that was trained in a copy of the run, is known by the hashes
    in its `training.json`. A folder that no command of ours has made is the user's own.
    """
    is_expert = folder.parent == workspace.experts
    if not is_expert and folder not in workspace.composed:
        return
    stage, command = (f"train:{folder.name}", f"train --subset {folder.name}") if is_expert else ("mix", "mix")
    outputs = [path for path in workspace.outputs(stage) if path.parent == folder]
    workspace.require_all(outputs, command)
    if outputs and (others := [path for path in model_files(folder) if path not in outputs]):
        raise UserError(f"{others[0]} is not of the model that `{command}` wrote: take it out of the folder")
    if not outputs and not (_is_as_trained(folder) if is_expert else not (folder / "composition.json").exists()):
        raise UserError(
            f"{workspace.manifest_path} does not say what the files of {folder} are, so they cannot be verified: run "
            f"`efficient-empathy {command} --run {shell(workspace.root)}` to make them again"
        )


def _is_as_trained(folder: Path) -> bool:
    """Whether the files are those that the expert's own record has hashes of; true where it has none."""
    record = read_training(folder)
    return record is None or not record.files or has_files_of(folder, record)


def refuse_pickle(path: Path | str) -> None:
    """Raise `UserError` for a folder whose weights are pickle files alone; hub names are checked while loading."""
    if not isinstance(path, Path) or any(path.glob("*.safetensors")):
        return
    if pickled := sorted([*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")]):
        raise UserError(
            f"{pickled[0]} is a pickle file, which can run code when it is read: convert the weights to safetensors, "
            "or allow it with --set allow_pickle=true if you trust where they come from"
        )
    raise UserError(f"{path} has no weights: there is no *.safetensors file in it")


@contextmanager
def _load_errors(what: str, trusted: bool) -> Iterator[None]:
    """Turn what loading raises into a `UserError`."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        if not trusted and "trust_remote_code" in reason:
            raise UserError(
                f"{what} brings Python code of its own: read it, then allow it with --set trust_remote_code=true"
            ) from error
        raise UserError(f"cannot load {what}: {reason[:300]}") from error


def stored_dtype(path: Path | str, *, trust_remote_code: bool = False) -> Any:
    """The type that a model's configuration says its weights are stored in, fp32 where it says none."""
    import torch
    from transformers import AutoConfig

    with quiet(), _load_errors(f"the configuration of {path}", trust_remote_code):
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
    return getattr(config, "dtype", None) or torch.float32


def store_as(folder: Path, dtype: Any) -> None:
    """Rewrite the fp32 weights of a saved model in `dtype`, one file in memory at a time."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    if dtype == torch.float32:
        return
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        tensors = {n: t.to(dtype) if t.dtype == torch.float32 else t for n, t in load_file(path).items()}
        with atomic(path) as temporary:
            save_file(tensors, temporary, metadata)
    config = folder / "config.json"
    content = json.loads(config.read_text("utf-8")) | {"dtype": str(dtype).removeprefix("torch.")}
    with atomic(config) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


_LOUD = ("accelerate", "datasets", "peft", "torch.distributed", "torch.distributed.run", "transformers", "trl")


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, progress bars or log lines below an error from transformers, datasets, accelerate, PEFT and TRL."""
    import datasets
    import transformers

    transformers_logging: Any = transformers.utils.logging
    bars = transformers_logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars[0]:
            transformers_logging.enable_progress_bar()
        if not bars[1]:
            datasets.enable_progress_bars()


_SHORT = 1024
"""Up to so many tokens, plain attention is faster on a CPU than the fused kernel with its mask."""


def device_name() -> str:
    """The accelerator's own name, or `cpu`."""
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def precision_of(settings: TrainingSettings) -> Literal["bf16", "fp32"]:
    """The precision that matrices are multiplied in. Raises `UserError` for bf16 on a GPU that does not know it."""
    import torch

    if torch.cuda.is_available():
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        if settings.precision == "bf16" and not able:
            raise UserError(f"{device_name()} does not calculate in bf16: train with --set precision=fp32")
    else:
        able = multiplies_bf16()
    if settings.precision == "auto":
        return "bf16" if able else "fp32"
    return settings.precision


def attention_of(settings: TrainingSettings) -> str:
    """transformers' name of the fastest attention here: flash attention where it is installed and precision is bf16."""
    import torch
    from transformers.utils.import_utils import is_flash_attn_2_available

    if torch.cuda.is_available():
        flash = is_flash_attn_2_available() and precision_of(settings) == "bf16" and settings.packing is not False
        return "flash_attention_2" if flash else "sdpa"
    return "eager" if settings.max_length <= _SHORT else "sdpa"


def checkpointing_of(settings: TrainingSettings, model: Any, widest: int) -> bool:
    """Whether activations are recomputed in the backward pass instead of being kept.

    `widest` is the largest batch of one process in tokens. What is kept of a block is about 16 hidden and 4 inner
    states of 2 bytes a token (Korthikanti et al. 2022, arXiv 2205.05198, without the attention matrix), and the logits.
    """
    import torch

    if settings.gradient_checkpointing != "auto":
        return settings.gradient_checkpointing
    if not torch.cuda.is_available():
        return False
    config = model.config.get_text_config()
    inner = getattr(config, "moe_intermediate_size", None) or getattr(
        config, "intermediate_size", 4 * config.hidden_size
    )
    inner *= getattr(config, "num_experts_per_tok", None) or 1
    activations = widest * 2 * config.num_hidden_layers * (16 * config.hidden_size + 4 * inner)
    activations += widest * 8 * config.vocab_size
    optimiser = 8 * sum(p.numel() for p in model.parameters() if p.requires_grad) if settings.method == "full" else 0
    free, _ = torch.cuda.mem_get_info()
    return bool(activations + optimiser > 0.8 * free)
