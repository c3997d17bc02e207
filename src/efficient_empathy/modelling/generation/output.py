"""The files that responses end up in: Parquet, and a .json that says what they are."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.modelling.generation.contract import Reply
from efficient_empathy.modelling.generation.job import Job
from efficient_empathy.modelling.generation.journal import Kept

SCHEMA = pl.Schema(
    {
        "sample_id": pl.String(),
        "response": pl.String(),
        "finish_reason": pl.String(),
        "prompt_tokens": pl.Int32(),
        "completion_tokens": pl.Int32(),
    }
)
"""The columns of `generations/<model>.parquet`, one row a sample in the samples' order.

`finish_reason` is stop, length or error; `response` is null for an error, and only for that.
"""


def finished(output: Path, key: str) -> tuple[Kept, dict[str, Any]]:
    """What `write` wrote last to `output`: its replies if they have the same `key`, and its .json; empty without."""
    kept = Kept()
    told: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, PolarsError):
        told = json.loads(output.with_suffix(".json").read_text("utf-8"))
        if told.get("key") == key:
            rows = pl.read_parquet(output, glob=False).select(SCHEMA.names()).iter_rows()
            reasons = told.get("failures", {})
            kept.replies = {row[0]: _reply(row, reasons.get(row[0], "")) for row in rows}
            kept.seconds = float(told["seconds"])
    return kept, told


def _reply(row: tuple[Any, ...], reason: str) -> Reply:
    _, text, finish, prompt_tokens, completion_tokens = row
    return Reply(0, text, finish, prompt_tokens, completion_tokens, reason)


def write(job: Job, kept: Kept, record: dict[str, Any]) -> None:
    """Write the replies in the order of the job's rows, then the .json; each whole or not at all."""
    replies = [kept.replies[i] for i in job.rows]
    frame = pl.DataFrame(
        {
            "sample_id": job.rows,
            "response": [reply.text for reply in replies],
            "finish_reason": [reply.finish_reason for reply in replies],
            "prompt_tokens": [reply.prompt_tokens for reply in replies],
            "completion_tokens": [reply.completion_tokens for reply in replies],
        },
        schema=SCHEMA,
    )
    failures = {i: reply.reason for i, reply in kept.replies.items() if reply.reason}
    with atomic(job.output) as path:
        frame.write_parquet(path, compression="zstd")
    with atomic(job.output.with_suffix(".json")) as path:
        text = json.dumps({**record, "failures": failures}, indent=2, ensure_ascii=False)
        path.write_text(text + "\n", "utf-8")
