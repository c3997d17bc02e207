"""Replies on their way to the final file: appended as they come, and found again after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.contract import Reply

_SYNC_EVERY_S = 1.0


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
        self._synced_at = float("-inf")

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
        """Keep what was finished together, past a kill when it returns, and past a power cut a second later."""
        rows = [[i, *astuple(reply)[1:]] for i, reply in zip(sample_ids, replies, strict=True)]
        self._write({"seconds": round(seconds, 4), "replies": rows})
        if time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            os.fsync(self._handle.fileno())
            self._synced_at = time.monotonic()

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
