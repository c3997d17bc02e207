import asyncio
import threading

import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.service.batching import TOGETHER, Batcher, QueueFullError
from efficient_empathy.service.scorer import Answer


def samples(name: str, count: int) -> list[Sample]:
    return [Sample.of([Utterance("speaker", f"{name} {i}")], "oh") for i in range(count)]


class Judge:
    """Answers when it is let go; keeps what it was asked, batch by batch."""

    def __init__(self, *, open_: bool = True) -> None:
        self.gate = threading.Event()
        self.batches: list[list[str]] = []
        if open_:
            self.gate.set()

    def __call__(self, batch):
        self.batches.append([sample.context[0].text for sample in batch])
        assert self.gate.wait(20)
        if any(sample.context[0].text.startswith("bad") for sample in batch):
            raise RuntimeError("broken")
        return [Answer(sample, {"text": sample.context[0].text}) for sample in batch]


def texts(answers) -> list[str]:
    return [answer.content["text"] for answer in answers]


async def begun(judge: Judge, batches: int) -> None:
    while len(judge.batches) < batches:  # noqa: ASYNC110  (it happens in a thread)
        await asyncio.sleep(0)


def test_answers_are_in_order_and_a_sample_alone_waits_for_no_others() -> None:
    async def run() -> None:
        judge = Judge()
        batcher = Batcher(judge, threads=2, limit=100)
        assert texts(await batcher(samples("a", 1))) == ["a 0"]
        assert judge.batches == [["a 0"]]
        assert texts(await batcher(samples("b", 11))) == [f"b {i}" for i in range(11)]
        assert await batcher([]) == []

    asyncio.run(run())


def test_what_waits_is_judged_together_and_large_requests_take_turns_with_small_ones() -> None:
    async def run() -> None:
        judge = Judge(open_=False)
        sizes: list[int] = []
        batcher = Batcher(judge, threads=1, limit=100, on_batch=sizes.append)
        first = asyncio.create_task(batcher(samples("first", 1)))
        await begun(judge, 1)
        large = asyncio.create_task(batcher(samples("large", 20)))
        small = [asyncio.create_task(batcher(samples(f"small{i}", 1))) for i in range(3)]
        await asyncio.sleep(0)
        judge.gate.set()
        await asyncio.gather(first, large, *small)
        assert judge.batches[1] == ["large 0", "small0 0", "small1 0", "small2 0"]
        assert texts(large.result()) == [f"large {i}" for i in range(20)]
        assert sizes == [1, *[TOGETHER] * 5, 3]

    asyncio.run(run())


def test_a_queue_that_is_full_says_when_to_come_again_and_who_leaves_makes_room() -> None:
    async def run() -> None:
        judge = Judge(open_=False)
        batcher = Batcher(judge, threads=1, limit=10)
        first = asyncio.create_task(batcher(samples("first", 1)))
        await begun(judge, 1)
        waiting = asyncio.create_task(batcher(samples("waiting", 8)))
        await asyncio.sleep(0)
        assert batcher.waiting == 8
        with pytest.raises(QueueFullError) as full:
            await batcher(samples("more", 3))
        assert full.value.retry_after >= 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert batcher.waiting == 0
        huge = asyncio.create_task(batcher(samples("huge", 30)))  # nothing waits, so it is taken
        await asyncio.sleep(0)
        judge.gate.set()
        assert len(await huge) == 30
        await first
        assert batcher.waiting == 0
        assert not any(text.startswith("waiting") for batch in judge.batches for text in batch)

    asyncio.run(run())


def test_a_judge_that_breaks_breaks_the_requests_of_its_batch_alone() -> None:
    async def run() -> None:
        batcher = Batcher(Judge(), threads=1, limit=100)
        with pytest.raises(RuntimeError, match="broken"):
            await batcher(samples("bad", 9))
        assert texts(await batcher(samples("good", 2))) == ["good 0", "good 1"]
        assert batcher.waiting == 0

    asyncio.run(run())
