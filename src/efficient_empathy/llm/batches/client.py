"""A batch from its requests to its answers, whichever provider's API it goes through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.plugins import Plugins
from efficient_empathy.llm.batches.contract import BatchAPI, Row, Status
from efficient_empathy.llm.batches.http import BatchHTTP
from efficient_empathy.llm.call import Completion, complete
from efficient_empathy.llm.endpoint import Endpoint
from efficient_empathy.llm.errors import CallFailed, FailureKind, Fault
from efficient_empathy.llm.prices import FREE, Price
from efficient_empathy.llm.transport import Response
from efficient_empathy.llm.wire import Question
from efficient_empathy.llm.wire.contract import request_body

BUILT_IN = {
    "openai": "efficient_empathy.llm.batches.openai:OpenAIBatches",
    "anthropic": "efficient_empathy.llm.batches.anthropic:AnthropicBatches",
}
BATCH_APIS: Plugins[type[BatchAPI]] = Plugins("batch API", "efficient_empathy.batch_apis", BUILT_IN)
"""By the name of the wire format whose servers have them."""
_LONGEST = 1 << 26
"""A line of the results that is longer, in bytes, is none."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request as the file has it, and the US dollars that its answer cannot exceed."""

    content: bytes
    bound_usd: float


class BatchClient:
    """The batch API behind an endpoint. Raises `UserError` where the wire format `wire` has none."""

    def __init__(
        self, endpoint: Endpoint, wire: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        if wire not in BATCH_APIS:
            raise UserError(f"the wire format {wire} has no batch API: leave --batch out")
        self._endpoint = endpoint
        self._http = BatchHTTP(endpoint, sleep=sleep)
        self.api: BatchAPI = BATCH_APIS.load(wire)()

    @property
    def price(self) -> Price:
        """What a request in a batch costs; nothing where nobody knows."""
        return (self._endpoint.price or FREE).in_batch()

    def request(self, custom_id: str, question: Question) -> BatchRequest:
        """The request that asks `question`."""
        call = self._endpoint.call(question)
        call.price_at(self.price)
        return BatchRequest(request_body(self.api.request(custom_id, call.fields)), call.bound_usd)

    async def submit(self, file: Path, label: str) -> Status:
        """Send a file of requests. Raises `UnclearError` where it may have arrived."""
        return await self.api.submit(self._http, file, label)

    async def status(self, batch: str) -> Status:
        """How a batch stands."""
        return await self.api.status(self._http, batch)

    def recent(self) -> AsyncIterator[Status]:
        """The account's batches, the latest first."""
        return self.api.recent(self._http)

    async def rows(self, status: Status, folder: Path) -> AsyncIterator[Row]:
        """What came back for each request, in the server's order. Lines that are no result are left out.

        They are downloaded into `folder` first, so that whoever reads them reads all of them or none.
        """
        with TemporaryFile(dir=folder) as file:
            for place in status.results:
                await self._http.download(place, file)
                file.write(b"\n")
            file.seek(0)
            for row in self._read(iter(lambda: file.readline(_LONGEST), b"")):
                yield row

    def _read(self, lines: Iterator[bytes]) -> Iterator[Row]:
        for line in lines:
            try:
                yield self.api.row(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue

    def answer(self, row: Row, request_bytes: int, bound_usd: float) -> Completion | CallFailed:
        """The answer that a row is, or how it failed; what it cost at most where it does not say."""
        if row.status is None:
            return failure(self._endpoint.secrets.tell(row.reason), 0.0 if row.is_free else bound_usd)
        outcome = self._endpoint.diagnosis.read(Response(row.status, {}, row.body), {})
        if notice := self._endpoint.bills.note_model(outcome):
            self._endpoint.notify_once(self._endpoint.secrets.tell(notice))
        if isinstance(outcome, Fault):
            billed = outcome.billed and not row.is_free
            cost = self.price.cost(*outcome.usage) if outcome.usage else bound_usd if billed else 0.0
            return failure(outcome.reason, cost, outcome.kind, outcome.code)
        cost = bound_usd if outcome.usage is None else self.price.cost(*outcome.usage, *outcome.cached)
        return complete(outcome, self._endpoint.secrets, request_bytes, cost, 0.0, 1)


def failure(reason: str, cost_usd: float, kind: FailureKind = "rejected", code: str | None = None) -> CallFailed:
    """Why a request in a batch has no answer, and what it may have cost."""
    return CallFailed(reason, kind, 1, cost_usd, 0.0, declined=None, suspected=False, code=code)
