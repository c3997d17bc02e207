import asyncio

from efficient_empathy.dialogues import Sample, Utterance

FORM = "Evaluation Form (scores ONLY):\n- Sensibility: {}\n- Rationality: {}"


def make_samples(n: int, response: str = "I am here for you, number {}.") -> list[Sample]:
    return [Sample.of([Utterance("speaker", f"Story {i}.")], response.format(i)) for i in range(n)]


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)
