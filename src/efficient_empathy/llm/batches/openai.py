"""OpenAI's Batch API, which Azure, Groq, Mistral's and other servers have too.

A file of requests is uploaded, a batch is made of it, and its answers and its errors come back as two files, in any
order (https://platform.openai.com/docs/guides/batch; the limits are of /docs/api-reference/batch/create).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.llm.batches.contract import Row, Status
from efficient_empathy.llm.batches.http import BatchHTTP

_RUNNING = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_LABEL = "efficient-empathy"
_NEVER_RUN = frozenset({"batch_expired", "batch_cancelled"})


class OpenAIBatches:
    """`/files` and `/batches`."""

    most_rows = 50_000
    most_bytes = 200_000_000
    framing = (b"", b"\n", b"\n")

    def request(self, custom_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A line of the file."""
        return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": fields}

    async def submit(self, http: BatchHTTP, file: Path, label: str) -> Status:
        """Upload the file, make a batch of it."""
        uploaded = await http.upload("/files", file, {"purpose": "batch"})
        batch = {
            "input_file_id": http.text(uploaded, "id"),
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {_LABEL: label},
        }
        return self._status(http, await http.create("/batches", batch))

    async def status(self, http: BatchHTTP, batch: str) -> Status:
        """How the batch stands."""
        return self._status(http, await http.read(f"/batches/{batch}"))

    async def recent(self, http: BatchHTTP) -> AsyncIterator[Status]:
        """The account's batches, the latest first."""
        async for batch in http.pages("/batches", "after"):
            yield self._status(http, batch)

    def row(self, result: Mapping[str, Any]) -> Row:
        """One line of the file of answers, or of that of errors."""
        custom_id, response, error = str(result["custom_id"]), result.get("response"), result.get("error")
        if isinstance(response, dict) and type(response.get("status_code")) is int:
            return Row(custom_id, response["status_code"], json.dumps(response.get("body")).encode())
        code = str(error.get("code") or "") if isinstance(error, dict) else ""
        message = str(error.get("message") or code) if isinstance(error, dict) else "no response came for it"
        return Row(custom_id, None, reason=message, is_free=code in _NEVER_RUN)

    def _status(self, http: BatchHTTP, batch: Mapping[str, Any]) -> Status:
        word = http.text(batch, "status")
        listed = batch.get("errors")
        listed = listed.get("data") if isinstance(listed, dict) else None
        errors = [one for one in listed or () if isinstance(one, dict)]
        counts = batch.get("request_counts")
        counts = counts if isinstance(counts, dict) else {}
        metadata = batch.get("metadata")
        files = [batch.get(f"{kind}_file_id") for kind in ("output", "error")]
        return Status(
            id=http.text(batch, "id"),
            state="running" if word in _RUNNING else "rejected" if word == "failed" else "over",
            word=word,
            done=http.number(counts, "completed") + http.number(counts, "failed"),
            total=http.number(counts, "total"),
            results=tuple(f"/files/{http.name(file)}/content" for file in files if file),
            code=next((str(one.get("code") or "") for one in errors), ""),
            reason="; ".join(str(one.get("message") or one.get("code") or "") for one in errors[:3]),
            label=str(metadata.get(_LABEL) or "") if isinstance(metadata, dict) else "",
            created_at=float(http.number(batch, "created_at")),
        )
