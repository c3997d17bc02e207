"""Replies on disk: appended to a journal as they come, and in the end Parquet with a .json that says what they are."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.modelling.generation.backends import Reply
from efficient_empathy.modelling.generation.job import Job


@dataclass
class Kept:
    """What is finished: replies by sample id (their `prompt` is 0), the seconds they took, the dollars committed."""

    replies: dict[str, Reply] = field(default_factory=dict)
    seconds: float = 0.0
    cost_usd: float = 0.0


class Journal:
    """A file of JSON lines beside the output: first what the replies are replies to, then what was finished together.

    A line is whole or it does not count: a batch that was being written when the process was killed is made again.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self.holds_ours = False
        """Whether the file, when it was read, began with this key."""
        self._handle: Any = None

    def read(self) -> Kept:
        """What an earlier process finished for the same key. Replies to another key are given up, dollars are not."""
        kept = Kept()
        whole = 0
        ours = False
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as lines:
            for line in lines:
                record = _parsed(line)
                if record is None:
                    break
                ours = ours or (whole == 0 and record.get("key") == self.key)
                whole += len(line)
                kept.cost_usd = record.get("committed_usd", kept.cost_usd)
                if ours:
                    _add(kept, record)
            self.holds_ours = ours
        if ours:
            os.truncate(self.path, whole)
        return kept

    @contextlib.contextmanager
    def open(self, *, anew: bool) -> Iterator[Journal]:
        """Ready for `append`; `anew` forgets what the file holds."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self.path.open("wb" if anew else "ab")
            if self._handle.tell() == 0:
                self._write({"key": self.key})
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        with self._handle:
            yield self

    def append(self, sample_ids: Sequence[str], replies: Iterable[Reply], seconds: float) -> None:
        """Keep what was finished together; on the disk when it returns."""
        rows = [[i, *astuple(reply)[1:]] for i, reply in zip(sample_ids, replies, strict=True)]
        self._write({"seconds": round(seconds, 4), "replies": rows})
        os.fsync(self._handle.fileno())

    def commit_usd(self, usd: float) -> None:
        """Keep what may have been spent so far, before a request goes out."""
        self._write({"committed_usd": usd})

    def remove(self) -> None:
        """The final file has it all."""
        self.path.unlink(missing_ok=True)

    def _write(self, record: dict[str, Any]) -> None:
        try:
            self._handle.write(json.dumps(record).encode() + b"\n")
            self._handle.flush()
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}; what was finished is kept") from error


def _parsed(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        record = json.loads(line)
        if line.endswith(b"\n") and isinstance(record, dict):
            return record
    return None


def _add(kept: Kept, record: dict[str, Any]) -> None:
    for sample_id, *rest in record.get("replies", ()):
        kept.replies[sample_id] = Reply(0, *rest)
    kept.seconds += record.get("seconds", 0.0)


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
