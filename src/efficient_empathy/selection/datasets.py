"""The data sets that training reads: one subset each, as Parquet and as JSON lines.

Rows are TRL's conversational format: `messages` with `role` (user, assistant) and `content`, the response last. The
same lines are what LLaMA-Factory calls sharegpt, told to it by `dataset_info.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.selection.faults import told
from efficient_empathy.workspace import atomic

EXTRA_COLUMNS = ("sample_id", "category", "split", "sensibility", "rationality")


def messages() -> pl.Expr:
    """`context` and `response` as one list of messages: speaker → user, listener → assistant.

    The response is appended to a list of plain strings that carry their role as a first letter, because polars appends
    to lists of strings 7 times faster than to lists of structs.
    """
    turn = pl.element()
    letter = pl.when(turn.struct["role"] == "speaker").then(pl.lit("u")).otherwise(pl.lit("a"))
    context = pl.col("context").list.eval(pl.concat_str(letter, turn.struct["text"]))
    response = pl.concat_str(pl.lit("a"), pl.col("response"))
    role = pl.when(turn.str.starts_with("u")).then(pl.lit("user")).otherwise(pl.lit("assistant"))
    return (
        pl.concat_list(context, response).list.eval(pl.struct(role=role, content=turn.str.slice(1))).alias("messages")
    )


def write_subsets(rows: pl.LazyFrame, folder: Path, subsets: Sequence[str]) -> None:
    """Write `<subset>.parquet` and `<subset>.jsonl` for every subset, empty ones too, in one pass over `rows`.

    `rows` has `context`, `response`, `subset` and `EXTRA_COLUMNS`; rows of other subsets are left out. Raises
    `UserError` when a file cannot be written or the samples cannot be read.
    """
    folder = folder.resolve()  # polars compares the paths of the parts with it
    wanted = rows.filter(pl.col("subset").is_in(subsets)).select(messages(), *EXTRA_COLUMNS, "subset")
    with ExitStack() as stack:
        tables = {subset: stack.enter_context(atomic(folder / f"{subset}.parquet")) for subset in subsets}
        names = ", ".join(f"{subset}.parquet" for subset in subsets)
        with told(f"write {names} to {folder} from the samples"):
            wanted.sink_parquet(
                pl.PartitionBy(
                    folder,
                    key="subset",
                    include_key=False,
                    file_path_provider=lambda file: str(tables[file.partition_keys["subset"].item()]),
                ),
                engine="streaming",
            )
            for table in tables.values():
                if not table.exists():
                    pl.DataFrame(schema=wanted.drop("subset").collect_schema()).write_parquet(table)
        for subset, table in tables.items():
            path = folder / f"{subset}.jsonl"
            with told(f"write {path}"), atomic(path) as lines:
                pl.scan_parquet(table).sink_ndjson(lines, check_extension=False, engine="streaming")


def write_dataset_info(folder: Path, subsets: Sequence[str]) -> None:
    """LLaMA-Factory's register: `dataset_dir` is this folder, `dataset` is `efficient_empathy_<subset>`."""
    info = {f"efficient_empathy_{subset}": _entry(f"{subset}.jsonl") for subset in subsets}
    with atomic(folder / "dataset_info.json") as path:
        path.write_text(json.dumps(info, indent=2) + "\n", "utf-8")


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
