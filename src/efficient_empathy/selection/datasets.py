"""The data sets that training reads: one subset each, as Parquet and as JSON lines.

Rows are TRL's conversational format: `messages` with `role` (user, assistant) and `content`, the response last. The
same lines are what LLaMA-Factory calls sharegpt, and `train`, true for the response alone, is for Axolotl. Read again,
a row is the one sample that was selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import uniform
from efficient_empathy.foundation.errors import error_context
from efficient_empathy.foundation.run.workspace import atomic

ABOUT = ("sample_id", "dialogue_id", "category", "split")


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
    """Write `<subset>.parquet` and `<subset>.jsonl` for every subset, empty ones too, in one pass over `rows`.

    `rows` has `context`, `response`, `subset`, and what is written beside the messages: `ABOUT` and the `axes`. Rows of
    other subsets are left out. A missing category or split is null in Parquet and empty text in JSON lines, see
    `uniform`. Raises `UserError` when a file cannot be written or the samples cannot be read.
    """
    folder = folder.resolve()  # polars compares the paths of the parts with it
    wanted = rows.filter(pl.col("subset").is_in(subsets)).select(messages(), *ABOUT, *axes, "subset")
    with ExitStack() as stack:
        tables = {subset: stack.enter_context(atomic(folder / f"{subset}.parquet")) for subset in subsets}
        names = ", ".join(f"{subset}.parquet" for subset in subsets)
        with error_context(f"write {names} to {folder} from the samples"):
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
            with error_context(f"write {path}"), atomic(path) as lines:
                uniform(pl.scan_parquet(table)).sink_ndjson(lines, check_extension=False, engine="streaming")
