"""Other numbers for some tensors of a composed folder: only the shards that hold them are written again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.card import composed_card
from efficient_empathy.modelling.moe.checkpoint import read_json
from efficient_empathy.modelling.moe.folder import RECORD, link, require_space, whole
from efficient_empathy.modelling.moe.numbers import Float32
from efficient_empathy.modelling.moe.shards import write_shard, write_text
from efficient_empathy.modelling.moe.stored import read_folder, read_header
from efficient_empathy.modelling.moe.tensors import Tensor, given


def rewrite(
    folder: Path,
    arrays: Mapping[str, Float32],
    record: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Replace the tensors called `arrays` in `folder`, and take `record` into composition.json and the card.

    `files` are JSON files to write beside. The folder is exchanged as a whole at the end; shards that stay are linked,
    not copied. Raises `UserError` for a tensor that is not there or has another shape.
    """
    there = read_folder(folder)
    for name, array in arrays.items():
        if name not in there or there[name].shape != array.shape:
            raise UserError(f"{folder} has no {name} of the shape {list(array.shape)}: compose it again")
    shards = {there[name].path.name for name in arrays}
    require_space(folder, sum((folder / shard).stat().st_size for shard in shards), f"rewriting {folder}")
    content = read_json(folder / RECORD) | dict(record)
    with whole(folder) as work:
        for path in folder.iterdir():
            if path.name in shards:
                tensors: dict[str, Tensor] = dict(read_header(path))
                tensors |= {name: given(arrays[name], tensors[name].dtype) for name in tensors if name in arrays}
                write_shard(work / path.name, tensors)
            elif path.name not in (RECORD, "README.md", *(files or {})):
                link(path, work / path.name)
        write_text(work / "README.md", composed_card(content))
        for name, value in {**(files or {}), RECORD: content}.items():
            write_text(work / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
