"""What a batch API is: how requests become a file, how it is sent and followed, and how its results are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from efficient_empathy.foundation.errors import UserError

if TYPE_CHECKING:
    from efficient_empathy.llm.batches.http import BatchHTTP


@dataclass(frozen=True, slots=True)
class Status:
    """How a batch stands at its server.

    `word` is the server's own for it, `done` of `total` its requests have an outcome; `results` are the places of what
    came back, below the API's base, once it is over. `code` and `reason` say why a batch was not run at all.
    `label` is what it was sent under, None where the server keeps none; `created_at` is in Unix seconds.
    """

    id: str
    state: Literal["running", "over", "rejected"]
    word: str
    done: int
    total: int
    results: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""
    label: str | None = None
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One request's outcome: a response of so many bytes under an HTTP `status`, or none (`status` is None) and why.

    `is_free`: the API says that nothing is billed for it.
    """

    custom_id: str
    status: int | None
    body: bytes = b""
    reason: str = ""
    is_free: bool = False


class BatchAPI(Protocol):
    """One provider's batch API, below the same base as its wire format."""

    most_rows: int
    """Requests that one batch may hold."""
    most_bytes: int
    """Bytes that its file may have."""
    framing: tuple[bytes, bytes, bytes]
    """What stands in the file before the first request, between two, and after the last."""

    def request(self, custom_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """One request of the file; `fields` are the JSON that the wire format would post."""
        ...

    async def submit(self, http: BatchHTTP, file: Path, label: str) -> Status:
        """Send a file. Raises `UnclearError` where nobody knows whether the server has taken it."""
        ...

    async def status(self, http: BatchHTTP, batch: str) -> Status:
        """How the batch of this id stands."""
        ...

    def recent(self, http: BatchHTTP) -> AsyncIterator[Status]:
        """The account's batches, the latest first."""
        ...

    def row(self, result: Mapping[str, Any]) -> Row:
        """What one line of the results says. Raises `ValueError` or `KeyError` for what is none."""
        ...


class GoneError(UserError):
    """The server has no such batch, or its results no longer: for this key at least."""


class UnclearError(Exception):
    """The connection broke after a batch was sent: it may be under way."""
