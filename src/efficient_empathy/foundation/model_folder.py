"""A model's folder: which of its files make the model, and whether they are the same as before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_WHOLE = 64 * 2**20
_FILES = (".json", ".jinja", ".safetensors", ".bin", ".model")


def model_hash(path: Path | str) -> str:
    """16 hexadecimal digits that change with a model's folder; of a hub name, with the name.

    Small files count with all their bytes, weights of 64 MiB and more with their size, first and last MiB.
    """
    digest = hashlib.sha256()
    if not isinstance(path, Path):
        return hashlib.sha256(path.encode()).hexdigest()[:16]
    for file in model_files(path):
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as handle:
            if size < _WHOLE:
                digest.update(handle.read())
            else:
                digest.update(handle.read(2**20))
                handle.seek(-(2**20), os.SEEK_END)
                digest.update(handle.read())
    return digest.hexdigest()[:16]


def model_files(folder: Path) -> list[Path]:
    """The files that make a model, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in _FILES and not path.name.startswith("."))
