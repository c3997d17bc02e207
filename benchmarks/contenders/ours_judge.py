"""Ours: the stage `score` with the openai judge; reading, ledger and scores.parquet included."""

import io
import json
import sys
from pathlib import Path

from meter import meter
from rich.console import Console

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm import Endpoint
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.judges.llm import LLMJudge
from efficient_empathy.scoring.judges.openai import OpenAISettings
from efficient_empathy.scoring.stage import score


def samples(n: int) -> list[Sample]:
    story = "I moved to a new town for work and I have not spoken to anyone but my landlord in two weeks."
    reply = "Two weeks is a long time to be alone with it. What do you miss most about the people back home?"
    return [Sample.of([Utterance("speaker", f"{story} ({i})")], reply) for i in range(n)]


def main() -> None:
    mode, prompts, url, n, concurrency = sys.argv[1:]
    rubric = Rubric.load()
    if mode == "prompts":
        messages = [rubric.messages(sample, as_json=True) for sample in samples(int(n))]
        Path(prompts).write_text(json.dumps(messages))
        print("{}")
        return
    write_samples(samples(int(n)), "dialogues.parquet")
    with meter():
        judge = LLMJudge(Endpoint(url, "m", concurrency=int(concurrency)), rubric, OpenAISettings())
        result = score("dialogues.parquet", Workspace("run"), judge, rubric, console=Console(file=io.StringIO()))
        assert result.states["ok"] == int(n), result


main()
