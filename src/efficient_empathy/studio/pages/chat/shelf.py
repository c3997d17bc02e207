"""Loaded models: as many as fit in memory, the one that was least recently asked makes room first."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from efficient_empathy.modelling.generation import GenerationSettings
from efficient_empathy.studio.pages.chat.models import missing

SPARE = 1.3
"""How much more memory than its weights a model is given."""


class Shelf:
    """Local models by folder. Not safe in several threads at once: one thread loads and speaks."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def take(self, path: Path | str, max_new_tokens: int) -> Any:
        """The `LocalGenerator` of a model, loaded where it is not. Raises `UserError` as loading does."""
        from efficient_empathy.modelling.generation.local import LocalGenerator

        stamp = _stamp(path)
        if (found := self._loaded.pop(stamp, None)) is None:
            need = _bytes_of(path) * SPARE
            while self._loaded and (free := free_memory()) is not None and free < need:
                self._drop(next(iter(self._loaded)))
            found = LocalGenerator.load(path, GenerationSettings(max_new_tokens=max_new_tokens))
        found.settings = GenerationSettings(max_new_tokens=max_new_tokens)
        self._loaded[stamp] = found
        return found

    def clear(self) -> None:
        """Let go of all models."""
        for stamp in list(self._loaded):
            self._drop(stamp)

    def __len__(self) -> int:
        return len(self._loaded)

    def _drop(self, stamp: str) -> None:
        del self._loaded[stamp]
        gc.collect()
        if not missing():
            import torch

            torch.cuda.empty_cache()


def free_memory() -> int | None:
    """Bytes that a model may still take, of the GPU where there is one; None where the system does not tell."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def out_of_memory(error: BaseException) -> bool:
    """Whether what was raised says that there is not enough memory."""
    import torch

    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("not enough memory" in told or "can't allocate memory" in told)
    )


def _stamp(path: Path | str) -> str:
    """What changes where a folder's model is made anew."""
    if not isinstance(path, Path):
        return path
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    return f"{path}\n" + "\n".join(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files)


def _bytes_of(path: Path | str) -> int:
    """The weights' size in memory, an adapter's with its base: twice that on disk on a CPU, which computes in fp32."""
    import torch

    from efficient_empathy.modelling.training.models import base_of, is_adapter

    if not isinstance(path, Path):
        return 0
    own = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    both = own + (_disk(base_of(path)) if is_adapter(path) else 0)
    return both * (1 if torch.cuda.is_available() else 2)


def _disk(path: Path | str) -> int:
    return sum(file.stat().st_size for file in path.glob("*.safetensors")) if isinstance(path, Path) else 0
