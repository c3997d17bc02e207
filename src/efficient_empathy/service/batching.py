"""Samples of many requests are judged in small batches, off the event loop; requests take turns, so none holds up all.

A batch is whatever waits when a thread is free, never more than `TOGETHER` samples: nobody waits for a batch to fill.
There is nothing to gain by waiting: the encoder runs samples one by one (see `encoders.OnnxEncoder`), so a batch saves
what comes before and after it, and a sample's scores cannot depend on what it was judged with.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from efficient_empathy.dialogues import Sample
from efficient_empathy.service.scorer import Answer

TOGETHER = 4
"""The most samples of a batch: a sample that comes alone waits for the batches under way."""
_MEMORY = 0.9
"""How much of the mean time of a sample is that of earlier batches."""


class QueueFullError(Exception):
    """There is no room for a request; after `retry_after` seconds there may be."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(eq=False)
class _Request:
    samples: Sequence[Sample]
    future: asyncio.Future[list[Answer]]
    answers: list[Answer | None]
    begun: int = 0
    """How many samples are in a batch, or were."""
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = len(self.samples)


class Batcher:
    """`score` on `threads` threads; at most `limit` samples wait. It belongs to one event loop.

    `on_batch` is told of the size of each batch.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Sample]], list[Answer]],
        threads: int,
        limit: int,
        on_batch: Callable[[int], None] = lambda samples: None,
    ) -> None:
        self._score, self._threads, self._limit, self.on_batch = score, threads, limit, on_batch
        self._pool = ThreadPoolExecutor(threads, "judge")
        self._queue: deque[_Request] = deque()
        self._busy: set[asyncio.Task[None]] = set()
        self._seconds = 0.01
        self.waiting = 0
        """Samples that are in no batch yet."""

    @property
    def retry_after(self) -> int:
        """Whole seconds, 1 at least, after which what waits now should be judged."""
        return max(1, math.ceil(self.waiting * self._seconds / self._threads))

    async def __call__(self, samples: Sequence[Sample]) -> list[Answer]:
        """The answers in order; cancelled, it takes its samples out of the queue. Raises `QueueFullError`.

        A request that is larger than all that may wait is taken where nothing waits.
        """
        if not samples:
            return []
        if self.waiting and self.waiting + len(samples) > self._limit:
            raise QueueFullError(self.retry_after)
        request = _Request(samples, asyncio.get_running_loop().create_future(), [None] * len(samples))
        self._queue.append(request)
        self.waiting += len(samples)
        self._start()
        try:
            return await request.future
        except asyncio.CancelledError:
            if request in self._queue:
                self._queue.remove(request)
                self.waiting -= len(samples) - request.begun
            raise

    def close(self) -> None:
        """Let nothing more begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        while self._queue and (free := self._threads - len(self._busy)) > 0:
            batch = self._take(min(TOGETHER, math.ceil(self.waiting / free)))
            if not batch:
                return
            task = asyncio.create_task(self._judge(batch))
            self._busy.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._start()

    def _take(self, size: int) -> list[tuple[_Request, int]]:
        """The next samples, one of each request in turn: the request and the place in it."""
        batch: list[tuple[_Request, int]] = []
        while self._queue and len(batch) < size:
            request = self._queue.popleft()
            if request.future.done():  # an earlier batch of it went wrong
                self.waiting -= len(request.samples) - request.begun
                continue
            batch.append((request, request.begun))
            request.begun += 1
            self.waiting -= 1
            if request.begun < len(request.samples):
                self._queue.append(request)
        return batch

    async def _judge(self, batch: list[tuple[_Request, int]]) -> None:
        started = time.perf_counter()
        samples = [request.samples[place] for request, place in batch]
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._pool, self._score, samples)
        except Exception as error:
            for request, _ in batch:
                if not request.future.done():
                    request.future.set_exception(error)
            return
        each = (time.perf_counter() - started) / len(batch)
        self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * each
        self.on_batch(len(batch))
        for (request, place), answer in zip(batch, answers, strict=True):
            request.answers[place] = answer
            request.left -= 1
            if not request.left and not request.future.done():
                request.future.set_result([one for one in request.answers if one is not None])
