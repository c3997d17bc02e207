"""Anthropic's Message Batches: requests in the body of one POST, results as lines in any order.

Requests that failed, expired or were cancelled are not billed
(https://docs.anthropic.com/en/docs/build-with-claude/batch-processing). A batch has no label of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from efficient_empathy.llm.batches.contract import Row, Status
from efficient_empathy.llm.batches.http import BatchHTTP

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
"""The HTTP status that an error of this type has outside of batches (https://docs.anthropic.com/en/api/errors)."""


class AnthropicBatches:
    """`/v1/messages/batches`."""

    most_rows = 100_000
    most_bytes = 256_000_000
    framing = (b'{"requests":[', b",", b"]}")

    def request(self, custom_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """An entry of the request's list."""
        return {"custom_id": custom_id, "params": fields}

    async def submit(self, http: BatchHTTP, file: Path, label: str) -> Status:
        """Post the file."""
        return self._status(http, await http.create("/messages/batches", file))

    async def status(self, http: BatchHTTP, batch: str) -> Status:
        """How the batch stands."""
        return self._status(http, await http.read(f"/messages/batches/{batch}"))

    async def recent(self, http: BatchHTTP) -> AsyncIterator[Status]:
        """The workspace's batches, the latest first."""
        async for batch in http.pages("/messages/batches", "after_id"):
            yield self._status(http, batch)

    def row(self, result: Mapping[str, Any]) -> Row:
        """One line of the results."""
        custom_id, outcome = str(result["custom_id"]), result["result"]
        kind = outcome["type"]
        if kind == "succeeded":
            return Row(custom_id, 200, json.dumps(outcome["message"]).encode())
        if kind != "errored":
            return Row(custom_id, None, reason=f"the request was {kind} in its batch", is_free=True)
        error = outcome.get("error")
        inner = error.get("error", error) if isinstance(error, dict) else {}
        status = _STATUS.get(inner.get("type", ""), 500) if isinstance(inner, dict) else 500
        return Row(custom_id, status, json.dumps(error).encode(), is_free=True)

    def _status(self, http: BatchHTTP, batch: Mapping[str, Any]) -> Status:
        word, name = http.text(batch, "processing_status"), http.text(batch, "id")
        counts = batch.get("request_counts")
        numbers = {kind: http.number(counts, kind) for kind in counts} if isinstance(counts, dict) else {}
        over = word == "ended"
        return Status(
            id=name,
            state="over" if over else "running",
            word=word,
            done=sum(numbers.values()) - numbers.get("processing", 0),
            total=sum(numbers.values()),
            results=(f"/messages/batches/{name}/results",) if over else (),
            created_at=_seconds(batch.get("created_at")),
        )


def _seconds(moment: Any) -> float:
    """Unix seconds of a date as RFC 3339 has it; 0 for what is none."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
