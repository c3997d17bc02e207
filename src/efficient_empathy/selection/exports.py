"""What a selection writes for training: a data set a subset, and the settings of other trainers.

A row has the same dialogue twice, since trainers disagree: `prompt` and `completion`, from which TRL learns the
completion alone, and `messages`, what LLaMA-Factory calls sharegpt, with `train` true for the last one, which Axolotl
goes by. Each takes its own columns and leaves the others. Read again, a row is the one sample that was selected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import uniform
from efficient_empathy.foundation.errors import error_context
from efficient_empathy.foundation.run.files import atomic, file_hash

RECIPES = ("llamafactory.yaml", "axolotl.yaml", "train_unsloth.py")
EXPORTS = ("dataset_info.json", *RECIPES)
"""The names that `write_exports` writes."""
_SUBSET, _DIGEST = "@subset@", "@digest@"
"""What stands for the subset's name and a hash of the selection in the files that the recipes are made from."""
ABOUT = ("sample_id", "dialogue_id", "category", "split")


def write_exports(folder: Path, sizes: Mapping[str, int], otherwise: str) -> None:
    """Write LLaMA-Factory's register and one recipe a trainer, with the paper's settings, beside the subsets' files.

    `sizes` has the samples of each subset. The trainers are not imported, since their requirements exclude each other.
    The recipes name the first subset that has samples and is not `otherwise`, the one that is left out. In the register
    `dataset_dir` is the folder and `dataset` is `efficient_empathy_<subset>`. Raises `UserError` when a file cannot be
    written.
    """
    info = {f"efficient_empathy_{subset}": _entry(f"{subset}.jsonl") for subset, size in sizes.items() if size}
    with atomic(folder / "dataset_info.json") as path:
        path.write_text(json.dumps(info, indent=2) + "\n", "utf-8")
    selected = [subset for subset in sizes if subset != otherwise] or [otherwise]
    first = next((subset for subset in selected if sizes[subset]), selected[0])
    digest = file_hash(folder / "assignments.parquet")[:8]
    for name in RECIPES:
        text = (files(__package__) / "export_files" / f"{name}.txt").read_text("utf-8")
        with atomic(folder / name) as path:
            path.write_text(text.replace(_SUBSET, first).replace(_DIGEST, digest), "utf-8")


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


def prompt_and_completion() -> list[pl.Expr]:
    """`context` as `prompt` and `response` as `completion`, TRL's lists of messages: speaker → user, listener →
    assistant.
    """
    turn = pl.element()
    role = pl.when(turn.struct["role"] == "speaker").then(pl.lit("user")).otherwise(pl.lit("assistant"))
    reply = pl.struct(role=pl.lit("assistant"), content=pl.col("response"))
    return [
        pl.col("context").list.eval(pl.struct(role=role, content=turn.struct["text"])).alias("prompt"),
        pl.concat_list(reply).alias("completion"),
    ]


def messages() -> pl.Expr:
    """`context` and `response` as one list of messages: speaker → user, listener → assistant.

    The response is appended to a list of plain strings that carry their role as a first letter (r for the response),
    because polars appends to lists of strings 7 times faster than to lists of structs.
    """
    turn = pl.element()
    letter = pl.when(turn.struct["role"] == "speaker").then(pl.lit("u")).otherwise(pl.lit("a"))
    context = pl.col("context").list.eval(pl.concat_str(letter, turn.struct["text"]))
    response = pl.concat_str(pl.lit("r"), pl.col("response"))
    role = pl.when(turn.str.starts_with("u")).then(pl.lit("user")).otherwise(pl.lit("assistant"))
    message = pl.struct(role=role, content=turn.str.slice(1), train=turn.str.starts_with("r"))
    return pl.concat_list(context, response).list.eval(message).alias("messages")


def write_subsets(rows: pl.LazyFrame, folder: Path, subsets: Sequence[str], axes: Sequence[str]) -> None:
    """Write `<subset>.parquet` and `<subset>.jsonl` for every subset in one pass over `rows`.

    `rows` has `context`, `response`, `subset`, and what is written beside the messages: `ABOUT` and the `axes`. Rows of
    other subsets are left out. What is missing is null in Parquet; how JSON lines have it, `uniform` says. An empty
    subset has a table without rows and no JSON lines, since without a row `datasets` stops at them. Raises `UserError`
    when a file cannot be written or the samples cannot be read.
    """
    folder = folder.resolve()  # polars compares the paths of the parts with it
    columns: list[pl.Expr | str] = [*prompt_and_completion(), messages(), *ABOUT, *axes]
    data = rows.filter(pl.col("subset").is_in(subsets)).select(*columns, "subset")
    with ExitStack() as stack:
        tables = {subset: stack.enter_context(atomic(folder / f"{subset}.parquet")) for subset in subsets}
        names = ", ".join(f"{subset}.parquet" for subset in subsets)
        with error_context(f"write {names} to {folder} from the samples"):
            data.sink_parquet(
                pl.PartitionBy(
                    folder,
                    key="subset",
                    include_key=False,
                    file_path_provider=lambda file: str(tables[file.partition_keys["subset"].item()]),
                ),
                compression_level=1,
                engine="streaming",
            )
            empty = [subset for subset, table in tables.items() if not table.exists()]
            for subset in empty:
                pl.DataFrame(schema=data.drop("subset").collect_schema()).write_parquet(tables[subset])
        hashes = stack.enter_context(ThreadPoolExecutor(1))  # the manifest will ask for them; see `file_hash`
        for subset in [subset for subset in subsets if subset not in empty]:
            path = folder / f"{subset}.jsonl"
            with error_context(f"write {path}"), atomic(path) as lines:
                rows_of_subset = uniform(pl.scan_parquet(tables[subset], glob=False))
                rows_of_subset.sink_ndjson(lines, check_extension=False, engine="streaming")
            hashes.submit(file_hash, path)
