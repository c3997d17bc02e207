"""What other trainers read besides the data itself: a register, and one recipe each with the paper's settings.

Only files: none of these tools is imported, since their requirements exclude each other. The recipes name the subset
`sensibility`, which every policy has.
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


def write_exports(folder: Path, subsets: Sequence[str]) -> None:
    """Write LLaMA-Factory's register and the recipes beside the subsets' files.

    In the register `dataset_dir` is the folder and `dataset` is `efficient_empathy_<subset>`. Raises `UserError` when a
    file cannot be written.
    """
    info = {f"efficient_empathy_{subset}": _entry(f"{subset}.jsonl") for subset in subsets}
    with atomic(folder / "dataset_info.json") as path:
        path.write_text(json.dumps(info, indent=2) + "\n", "utf-8")
    for name in RECIPES:
        with atomic(folder / name) as path:
            path.write_bytes((files(__package__) / "export_files" / f"{name}.txt").read_bytes())


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
