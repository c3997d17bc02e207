"""A backend by name. A new backend is a new file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.modelling.generation.contract import Generator
from efficient_empathy.modelling.generation.settings import GenerationSettings


def _transformers(path: Path | str, settings: GenerationSettings) -> Generator:
    from efficient_empathy.modelling.generation.local import LocalGenerator

    return LocalGenerator.load(path, settings)


def _vllm(path: Path | str, settings: GenerationSettings) -> Generator:
    from efficient_empathy.modelling.generation.vllm_backend import VllmGenerator

    return VllmGenerator(path, settings)


BACKENDS: dict[str, Callable[[Path | str, GenerationSettings], Generator]] = {
    "transformers": _transformers,
    "vllm": _vllm,
}


def choose_backend(settings: GenerationSettings) -> str:
    """The backend asked for; raises `UserError` where it is not to be had."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise missing_extra("generate", "train") from error
    from efficient_empathy.modelling.generation.vllm_backend import available

    if settings.backend == "auto":
        return "vllm" if available() else "transformers"
    if settings.backend == "vllm" and not available():
        raise UserError("--backend vllm needs vLLM and a GPU: pip install vllm, or leave --backend out")
    return settings.backend
