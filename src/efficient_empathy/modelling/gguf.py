"""GGUF files as bases: llama.cpp's format, unpacked once into a folder as transformers' own models lie in one."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, error_context, missing_extra
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.modelling.bases import UNPACKED
from efficient_empathy.modelling.training.models import quiet, resolve

_SUFFIX = ".gguf"
_SMALL = 500_000_000
"""Parameters up to which a base is kept in fp32: what a short training changes is often less than bf16 can hold."""


def base_in(run: Path, base: str | None, console: Console) -> Path | str:
    """A base as `resolve` gives it; of a GGUF file, or of an installed package that holds one, what it is unpacked to.

    That is a folder in `run`, made at the first call. Raises `UserError` as `resolve` does, and for a file that is
    damaged, of an architecture or a quantisation that is not read, or without a chat template.
    """
    file = find(base)
    if file is None:
        return resolve(base)
    folder = run.resolve() / UNPACKED / f"{file.stem}-{file_hash(file)[:8]}"
    if not folder.exists():
        console.print(f"Unpacking {file.name} to {folder}, once.")
        work = folder.with_name(f"{folder.name}.work")
        with error_context(f"unpack {file} to {folder}"):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            _unpack(file, work)
            work.rename(folder)
    return folder


def find(base: str | None) -> Path | None:
    """The GGUF file that a base is: a path, or the name of an installed package that holds just one; None for others.

    Raises `UserError` for a file that is not there, and for a package with several.
    """
    if base is None or Path(base).expanduser().is_dir():
        return None
    if base.lower().endswith(_SUFFIX):
        path = Path(base).expanduser()
        if not path.is_file():
            raise UserError(f"there is no file {base}: give --base the path of a GGUF file")
        return path.resolve()
    if "/" in base:
        return None
    try:
        inside = [file for file in files(base) or () if file.suffix == _SUFFIX]
    except (PackageNotFoundError, ValueError):
        return None
    if len(inside) > 1:
        names = ", ".join(str(file) for file in inside)
        raise UserError(f"the package {base} holds several models ({names}): give --base the path of one")
    return Path(str(inside[0].locate())).resolve() if inside else None


def _unpack(file: Path, folder: Path) -> None:
    if find_spec("gguf") is None:
        raise missing_extra("reading a GGUF file", "train")
    with _reading(file):
        parameters, template = _look_into(file)
    if template is None:
        raise UserError(
            f"{file} has no chat template, so it is no chat model: take the GGUF of its instruct version, or one that "
            "a newer convert_hf_to_gguf.py has made"
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    dtype = torch.float32 if parameters <= _SMALL else torch.bfloat16
    place: dict[str, Any] = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    with _reading(file), quiet(), redirect_stderr(io.StringIO()):  # a bar of tqdm's that no setting turns off
        model: Any = AutoModelForCausalLM.from_pretrained(
            **place, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
        )
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(**place).save_pretrained(folder)
    config = folder / "config.json"
    content = json.loads(config.read_text("utf-8"))
    content.pop("_model_name_or_path", None)
    config.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    for path in folder.iterdir():  # weights are saved for their owner alone
        path.chmod(config.stat().st_mode)


def _look_into(file: Path) -> tuple[int, str | None]:
    """How many parameters a file has, and its chat template. Raises what `gguf` does for a file that is none or cut."""
    from gguf import GGUFReader

    reader = GGUFReader(file)
    field = reader.fields.get("tokenizer.chat_template")
    return sum(int(tensor.n_elements) for tensor in reader.tensors), None if field is None else field.contents()


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn what reading a file raises into a `UserError` with the remedy."""
    try:
        yield
    except (ImportError, MemoryError, UserError):
        raise
    except Exception as error:  # what the libraries raise for a file that is no model, or half of one, is of any kind
        reason = " ".join(str(error).split())[:200]
        if "architecture" in reason or ("not supported yet" in reason and "ggml" not in reason):
            remedy = "take a model of another architecture, such as Llama, Mistral or Qwen"
        elif "ggml" in reason or "quantiz" in reason.lower():
            remedy = "take it in another quantisation, such as Q8_0, Q4_K_M or F16"
        else:
            remedy = "it is no GGUF file, or damaged, or cut off: download it again"
        raise UserError(f"cannot read {file} ({reason or type(error).__name__}): {remedy}") from error
