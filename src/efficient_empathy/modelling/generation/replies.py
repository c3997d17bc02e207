"""Replies on disk: appended to a journal as they come, and in the end Parquet with a .json that says what they are."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from efficient_empathy.foundation.errors import UserError, misplaced, shell
from efficient_empathy.foundation.run.files import atomic, file_hash, file_identity
from efficient_empathy.foundation.run.workspace import CHANGED, Workspace
from efficient_empathy.modelling.generation.backends import Reply
from efficient_empathy.modelling.generation.record import (
    GenerationRecord,
    JournalReplies,
    JournalSpending,
    JournalStart,
)

_SYNC_EVERY_S = 1.0


@dataclass
class Replies:
    """What is finished: replies by sample id (their `prompt` is 0), the seconds they took, the dollars committed."""

    by_sample: dict[str, Reply] = field(default_factory=dict)
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
        self._synced_at = float("-inf")

    def read(self) -> Replies:
        """What an earlier process finished for the same key. Replies to another key are given up, dollars are not."""
        replies = Replies()
        whole = 0
        ours = False
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as lines:
            for line in lines:
                content = _parse_line(line)
                if content is None:
                    break
                ours = ours or (whole == 0 and content == JournalStart(key=self.key))
                whole += len(line)
                if isinstance(content, JournalSpending):
                    replies.cost_usd = content.committed_usd
                elif isinstance(content, JournalReplies) and ours:
                    replies.by_sample |= {row[0]: Reply(0, *row[1:]) for row in content.replies}
                    replies.seconds += content.seconds
            self.holds_ours = ours
        if ours:
            os.truncate(self.path, whole)
        return replies

    @contextlib.contextmanager
    def open(self, *, anew: bool) -> Iterator[Journal]:
        """Ready for `append`; `anew` forgets what the file holds."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self.path.open("wb" if anew else "ab")
            if self._handle.tell() == 0:
                self._write(JournalStart(key=self.key))
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        with self._handle:
            yield self

    def append(self, sample_ids: Sequence[str], replies: Iterable[Reply], seconds: float) -> None:
        """Keep what was finished together, past a kill when it returns, and past a power cut a second later."""
        rows = tuple((i, *astuple(reply)[1:]) for i, reply in zip(sample_ids, replies, strict=True))
        self._write(JournalReplies(replies=rows, seconds=round(seconds, 4)))
        if time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            os.fsync(self._handle.fileno())
            self._synced_at = time.monotonic()

    def commit_usd(self, usd: float) -> None:
        """Keep what may have been spent so far, before a request goes out, past a power cut too."""
        self._write(JournalSpending(committed_usd=usd))
        os.fsync(self._handle.fileno())

    def remove(self) -> None:
        """The final file has it all."""
        self.path.unlink(missing_ok=True)

    def _write(self, line: JournalStart | JournalReplies | JournalSpending) -> None:
        if file_identity(self.path) != _identity_of(self._handle):
            raise misplaced(self.path)
        try:
            self._handle.write(json.dumps(line.model_dump()).encode() + b"\n")
            self._handle.flush()
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}; what was finished is kept") from error


def _identity_of(handle: Any) -> tuple[int, int]:
    status = os.fstat(handle.fileno())
    return status.st_dev, status.st_ino


def _parse_line(line: bytes) -> JournalStart | JournalReplies | JournalSpending | None:
    """What a line says; None for one that is cut, or is none of a journal."""
    if not line.endswith(b"\n"):
        return None
    for kind in (JournalReplies, JournalSpending, JournalStart):
        with contextlib.suppress(ValueError):
            return kind.model_validate(json.loads(line), context={"file": "journal"})
    return None


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


def read_output(output: Path, key: str) -> tuple[Replies, GenerationRecord | None]:
    """What `write` wrote last to `output`: its replies if they have the same `key`, and its .json; empty without.

    Of a file that has changed since, those replies are left whose rows are as they were written.
    """
    replies = Replies()
    record = None
    with contextlib.suppress(UserError, OSError, PolarsError):
        record = GenerationRecord.read_if_there(output.with_suffix(".json"))
        if record is not None and record.key == key:
            frame = pl.read_parquet(output, glob=False).select(SCHEMA.names())
            for row in frame.iter_rows():
                if record.checksums.get(row[0]) == _checksum(row):
                    sample_id, text, finish, prompt_tokens, completion_tokens = row
                    reason = record.failures.get(sample_id, "")
                    replies.by_sample[sample_id] = Reply(0, text, finish, prompt_tokens, completion_tokens, reason)
            replies.seconds = record.seconds
    return replies, record


def require_replies(workspace: Workspace, name: str) -> Path:
    """The file with the responses of the model called `name`. Raises `UserError` where it is not as it was written.

    Responses that the manifest does not know are known by the .json beside them; without one they are the user's own.
    """
    path = workspace.generations / f"{name}.parquet"
    facts = path.with_suffix(".json")
    workspace.require_all([path, facts], f"generate --model {name}")
    record = None
    with contextlib.suppress(UserError):  # whoever reads the facts says what is wrong with them
        record = GenerationRecord.read_if_there(facts) if workspace.recorded_hash(path) is None else None
    if record is not None and record.sha256 and file_hash(path) != record.sha256:
        again = f"run `efficient-empathy generate --model {name} --run {shell(workspace.root)}` to make it again"
        raise UserError(f"{path} {CHANGED}: {again}")
    return path


def reply_names(workspace: Workspace) -> list[str]:
    """The models whose responses a run has, by name; those too whose files are gone though `generate` wrote them."""
    there = {path.stem for path in workspace.generations.glob("*.parquet") if not path.name.startswith(".")}
    recorded = [workspace.root / key for key in workspace.manifest().artifacts]
    written = {path.stem for path in recorded if path.parent == workspace.generations and path.suffix == ".parquet"}
    return sorted(there | written)


def _checksum(row: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()[:8]


def write(output: Path, rows: Sequence[str], replies: Replies, record: GenerationRecord) -> None:
    """Write the replies in the order of `rows`, the sample ids, then the .json; each whole or not at all."""
    in_order = [replies.by_sample[i] for i in rows]
    frame = pl.DataFrame(
        {
            "sample_id": rows,
            "response": [reply.text for reply in in_order],
            "finish_reason": [reply.finish_reason for reply in in_order],
            "prompt_tokens": [reply.prompt_tokens for reply in in_order],
            "completion_tokens": [reply.completion_tokens for reply in in_order],
        },
        schema=SCHEMA,
    )
    with atomic(output) as path:
        frame.write_parquet(path, compression="zstd")
    failures = {i: reply.reason for i, reply in replies.by_sample.items() if reply.reason}
    checksums = {row[0]: _checksum(row) for row in frame.iter_rows()}
    record.model_copy(update={"failures": failures, "checksums": checksums, "sha256": file_hash(output)}).write(
        output.with_suffix(".json")
    )
