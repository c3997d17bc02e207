"""The tiny base model in the package, and what a model's folder is known by."""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path

from efficient_empathy.foundation.errors import UserError

BUNDLED_NAME = "the bundled tiny base"
_WHOLE = 64 * 2**20
_KEPT = (".json", ".jinja", ".safetensors", ".bin", ".model")


def bundled_base() -> Path:
    """The folder of the package's own base model. Raises `UserError` where this installation does not have it."""
    folder = Path(str(files("efficient_empathy") / "assets" / "base"))
    if not (folder / "config.json").exists():
        raise UserError("this installation has no bundled base model: name one with --base FOLDER or --base HUB_NAME")
    return folder


def resolve(base: str | None) -> Path | str:
    """A base as the loaders take it: the bundled one for None, a folder where there is one, else a hub name.

    Raises `UserError` for a path that is not there.
    """
    if base is None:
        return bundled_base()
    path = Path(base).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.is_absolute() or base.startswith((".", "~")) or base.count("/") != 1 or path.parent.exists():
        raise UserError(f"there is no model at {base}: name a folder with a config.json, or a hub name (org/name)")
    return base


def model_hash(path: Path | str) -> str:
    """16 hexadecimal digits that change with a model's folder; of a hub name, with the name.

    Small files count with all their bytes, weights of 64 MiB and more with their size, first and last MiB.
    """
    digest = hashlib.sha256()
    if not isinstance(path, Path):
        return hashlib.sha256(path.encode()).hexdigest()[:16]
    for file in sorted(p for p in path.iterdir() if p.suffix in _KEPT and not p.name.startswith(".")):
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
