"""The requests of a batch API: to the endpoint's own server alone, asked again where that is safe."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import FormData

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.batches.contract import GoneError, UnclearError
from efficient_empathy.llm.endpoint import Endpoint
from efficient_empathy.llm.errors import EndpointNotFound, Fault
from efficient_empathy.llm.pacing import backoff
from efficient_empathy.llm.transport import Response

TRIES = 6
UPLOAD_S = 3600.0
"""For a file of 200 MB, over a line of half a megabit a second."""
_NAME = re.compile(r"[\w.:-]{1,200}")
_MOST = 10**15


class BatchHTTP:
    """Speaks to the batch API of an endpoint's server.

    All that fails for good is a `UserError`: a refused key, a server without such an API, a file it does not take.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._endpoint = endpoint
        self._transport = endpoint.transport
        self._sleep = sleep
        url = endpoint.transport.url
        path = url.path.removesuffix("/chat/completions").removesuffix("/messages")
        self._base = url.with_path(path, keep_query=True)
        self._headers = {name: value for name, value in self._transport.headers.items() if name != "Content-Type"}

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET a JSON object."""
        return self._object(await self._again("GET", path, query=query or {}), path)

    async def pages(self, path: str, cursor: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list that comes in pages, each asked for with the last one's id as the query's `cursor`."""
        query = {"limit": "100"}
        while True:
            page = await self.read(path, query)
            listed = [one for one in page.get("data") or () if isinstance(one, dict)]
            for one in listed:
                yield one
            if not page.get("has_more") or not listed:
                return
            query[cursor] = self.text(listed[-1], "id")

    async def create(self, path: str, content: Mapping[str, Any] | Path) -> dict[str, Any]:
        """POST JSON, given as such or as a file: again only where it was not taken. Raises `UnclearError`."""
        for number in range(1, TRIES + 1):
            with open_body(content) as body:
                response = await self._send("POST", path, body, json_body=True, timeout_s=UPLOAD_S)
            if isinstance(response, Response) and 200 <= response.status < 300:
                return self._object(response, path)
            fault = response if isinstance(response, Fault) else self._fault(response)
            is_refused = fault.refused or fault.patient  # not taken for certain: no connection, or a rate limit
            if fault.retry and not is_refused:
                raise UnclearError(fault.reason)
            if not fault.retry or number == TRIES:
                raise self._error(fault, path)
            await self._sleep(backoff(number, fault.retry_after_s, random.Random()))
        raise AssertionError

    async def upload(self, path: str, file: Path, fields: Mapping[str, str]) -> dict[str, Any]:
        """POST a file as a form does; a second copy at the server is no harm."""
        return self._object(await self._again("POST", path, upload=file, fields=fields), path)

    async def download(self, path: str, file: BinaryIO) -> None:
        """GET into a file, from its present end on; what a broken connection left there goes."""
        start = file.tell()

        def rewind() -> None:
            file.seek(start)
            file.truncate()

        await self._again("GET", path, file=file, before=rewind)

    async def _again(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        upload: Path | None = None,
        fields: Mapping[str, str] | None = None,
        file: BinaryIO | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> Response:
        """One request, sent again while that may help. Raises `UserError` in the end."""
        for number in range(1, TRIES + 1):
            before()
            if upload is None:
                response = await self._send(method, path, None, query=query, file=file)
            else:
                with upload.open("rb") as content:
                    form = FormData(dict(fields or {}))
                    form.add_field("file", content, filename="batch.jsonl", content_type="application/jsonl")
                    response = await self._send(method, path, form, timeout_s=UPLOAD_S)
            if isinstance(response, Response) and 200 <= response.status < 300:
                return response
            fault = response if isinstance(response, Fault) else self._fault(response)
            if number == TRIES or not fault.retry:
                raise self._error(fault, path)
            await self._sleep(backoff(number, fault.retry_after_s, random.Random()))
        raise AssertionError

    async def _send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        query: Mapping[str, str] | None = None,
        json_body: bool = False,
        timeout_s: float | None = None,
        file: BinaryIO | None = None,
    ) -> Response | Fault:
        url = self._base.with_path(self._base.path.rstrip("/") + path, keep_query=True).extend_query(query or {})
        headers = {**self._headers, **({"Content-Type": "application/json"} if json_body else {})}
        return await self._transport.send(method, url, body, headers, timeout_s=timeout_s, file=file)

    def _fault(self, response: Response) -> Fault:
        outcome = self._endpoint.diagnosis.read(response, {})
        assert isinstance(outcome, Fault)  # its status is no success
        return outcome

    def _error(self, fault: Fault, path: str) -> UserError:
        if fault.status in (404, 410):
            if path.count("/") > 1 and not path.endswith("/batches"):
                return GoneError(f"{self._endpoint.url} has no {path.strip('/')} ({fault.reason})")
            return UserError(f"{self._endpoint.url} has no batch API ({fault.reason}): leave --batch out")
        if fault.fatal is not None and not isinstance(fault.fatal, EndpointNotFound):
            return fault.fatal
        return UserError(f"{self._endpoint.url} fails at {path} of its batch API: {fault.reason}")

    def _object(self, response: Response, path: str) -> dict[str, Any]:
        try:
            content = json.loads(response.body)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise self._odd(f"what {path} gives is no JSON object")
        return content

    def text(self, content: Mapping[str, Any], key: str) -> str:
        """A name that must be there and fit for a URL. Raises `UserError`."""
        return self.name(content.get(key), key)

    def name(self, value: Any, key: str = "a file's id") -> str:
        """The same of a value: what a server says becomes a path, so it may hold no other characters."""
        if isinstance(value, str) and _NAME.fullmatch(value) and set(value) != {"."}:
            return value
        raise self._odd(f"{key} is no name")

    @staticmethod
    def number(content: Mapping[str, Any], key: str) -> int:
        """A count; 0 for what is none."""
        value = content.get(key)
        return value if type(value) is int and 0 <= value < _MOST else 0

    def _odd(self, what: str) -> UserError:
        return UserError(f"{self._endpoint.url} has an answer of its own to a batch: {what}; leave --batch out")


def open_body(content: Mapping[str, Any] | Path) -> AbstractContextManager[Any]:
    """What is posted, to be closed once it is sent."""
    return content.open("rb") if isinstance(content, Path) else nullcontext(json.dumps(content).encode())
