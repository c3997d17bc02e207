"""What other trainers read besides the data itself: a register, and one recipe each with the paper's settings.

Only files: none of these tools is imported, since their requirements exclude each other. The recipes name the first
subset that is not left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.run.workspace import atomic

RECIPES = ("llamafactory.yaml", "axolotl.yaml", "train_unsloth.py")
EXPORTS = ("dataset_info.json", *RECIPES)
"""The names that `write_exports` writes."""
_SUBSET = "@subset@"
"""Stands for the subset's name in the files that the recipes are made from."""


def write_exports(folder: Path, subsets: Sequence[str], otherwise: str) -> None:
    """Write LLaMA-Factory's register and the recipes beside the subsets' files; `otherwise` is what is left out.

    In the register `dataset_dir` is the folder and `dataset` is `efficient_empathy_<subset>`. Raises `UserError` when a
    file cannot be written.
    """
    info = {f"efficient_empathy_{subset}": _entry(f"{subset}.jsonl") for subset in subsets}
    with atomic(folder / "dataset_info.json") as path:
        path.write_text(json.dumps(info, indent=2) + "\n", "utf-8")
    first = next((subset for subset in subsets if subset != otherwise), otherwise)
    for name in RECIPES:
        text = (files(__package__) / "export_files" / f"{name}.txt").read_text("utf-8")
        with atomic(folder / name) as path:
            path.write_text(text.replace(_SUBSET, first), "utf-8")


def _entry(file_name: str) -> dict[str, Any]:
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
