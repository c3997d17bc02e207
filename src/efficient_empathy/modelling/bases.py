"""What a model's own files may say: which base an adapter belongs to, and what the libraries that load it would obey.

These files may be a stranger's. They name no base outside their run that the user has not named, and nothing that makes
a library import, download or compute without bounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds
from efficient_empathy.foundation.permissions import Permission, read_from, require
from efficient_empathy.foundation.run.workspace import Workspace

ADAPTER = "adapter_config.json"
UNPACKED = "bases"
"""In a run's folder: bases that were unpacked into it, each under a name with a hash of what it was unpacked from."""
_MOST_BYTES = 16 * 2**20
_MOST_RANK = 4096
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_NAME = re.compile(r"[\w.-]+")
_PATTERN = re.compile(r"[\w.^$\\-]+")
"""A name, perhaps anchored: nothing that a regular expression could take for ever to match."""
_LEAD_FURTHER = ("megatron_config", "layer_replication")
"""Of an adapter's configuration: what makes PEFT import a module of that name, or multiply the model's layers."""


def read_json_file(path: Path) -> Any:
    """The content of a JSON file of a model. Raises `UserError` for what is none, or far too large to be one."""
    try:
        if path.stat().st_size > _MOST_BYTES or not path.is_file():
            raise ValueError("it is too large, or no file")
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {path} ({str(error) or type(error).__name__})") from error


def adapter_config(folder: Path) -> dict[str, Any]:
    """The configuration of an adapter that PEFT is to load. Raises `UserError` for what it must not obey."""
    config = read_json_file(folder / ADAPTER)
    if not isinstance(config, dict):
        raise UserError(f"{folder / ADAPTER} is no adapter's configuration: save the adapter again")
    if key := next((key for key in _LEAD_FURTHER if config.get(key)), None):
        raise UserError(f"{folder / ADAPTER} has {key}, which is not read: merge the adapter into its base")
    ranks = config.get("rank_pattern") or {}
    patterns = [*ranks, *(config.get("alpha_pattern") or {})]
    targets = config.get("target_modules") or []
    names = targets if isinstance(targets, list) else [] if targets == "all-linear" else [targets]
    if not all(isinstance(one, str) and _NAME.fullmatch(one) for one in names) or not all(
        map(_PATTERN.fullmatch, patterns)
    ):
        raise UserError(f"{folder / ADAPTER} names modules by a pattern: name them one by one, or merge the adapter")
    for rank in (config.get("r", 1), *(ranks.values() if isinstance(ranks, Mapping) else ())):
        if not isinstance(rank, int) or not 0 < rank <= _MOST_RANK:
            raise UserError(f"{folder / ADAPTER} has the rank {rank}: an adapter's is from 1 to {_MOST_RANK:,}")
    return config


def check_model(folder: Path) -> None:
    """Raise `UserError` for a model whose configuration would have a library download code."""
    path = folder / "config.json"
    try:
        config = read_json_file(path) if path.exists() else {}
    except UserError as error:
        raise UserError(f"cannot load the model {folder}: {error}") from error
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation"):
        if isinstance(config, dict) and "/" in str(config.get(key, "")):
            raise UserError(f"{path} takes {key} from the hub, which is code: remove the line")


def base_at(base: str, run: Path | None) -> str:
    """Where a base is now: one that was unpacked into its run is found there wherever the run has been moved to."""
    place = Path(base)
    if run is None or place.parent.name != UNPACKED or place.exists():
        return base
    here = run.resolve() / UNPACKED / place.name
    return str(here) if here.is_dir() else base


def base_permission(base: Path | str) -> Permission:
    """What loading a base takes: reading its folder, or asking the hub for it."""
    is_hub = isinstance(base, str) and _HUB_NAME.fullmatch(base) and not Path(base).is_dir()
    return Permission("hub", str(base)) if is_hub else read_from(base)


def require_base(base: Path | str, owner: Path, run: Path | None, *, bundled: bool) -> None:
    """Raise `UserError` for a base that `owner`, a run or a model in it, may not have loaded.

    It may be the bundled one (`bundled`), lie in the run, or have been named by the user: here, or when it was trained.
    An adapter that belongs to no run was named by the user, and its base with it.
    """
    if run is None or bundled:
        return
    need = base_permission(base)
    asks = [need] if need.kind == "hub" else list(Bounds((run.resolve(),)).reading(Path(need.what)))
    require(f"{owner}, which was trained on {base},", asks)


def run_of(folder: Path) -> Path | None:
    """The run that a folder is, or that a model's folder belongs to, by its place; None where that is none."""
    if folder.parent.name == Workspace(folder).experts.name:
        return folder.parent.parent
    return next((one for one in (folder, folder.parent) if Workspace(one).manifest_path.is_file()), None)
