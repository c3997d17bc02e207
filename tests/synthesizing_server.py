"""What writes dialogues for `synthesize` behind a server: bundled ones that the run does not have, one a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues import Sample, read
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from misbehaviours import Behaviour, ok

RUN_CONVERSATIONS = 60


def samples(limit: int | None = None) -> list[Sample]:
    """Bundled samples, in their order."""
    return [Sample.from_row(row) for row in read(DIALOGUES / "train.jsonl").head(limit or 10**9).iter_rows(named=True)]


def bundled_run(folder: Path, conversations: int = RUN_CONVERSATIONS, *, tested: bool = True) -> Workspace:
    """A run of some bundled conversations, scored by the embedded judge and selected; some of them are a test split."""
    lines = (DIALOGUES / "train.jsonl").read_text("utf-8").splitlines()[:conversations]
    rows = [json.loads(line) for line in lines]
    for number, row in enumerate(rows):
        row["split"] = "test" if tested and number % 6 == 0 else "train"
    source = folder / "dialogues.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    workspace = Workspace(folder / "run")
    score(source, workspace)
    select(workspace)
    return workspace


def written(sample: Sample) -> str:
    """A sample as a model would write it."""
    lines = [f"{turn.role.capitalize()}: {turn.text}" for turn in sample.context]
    return "\n".join([*lines, f"Listener: {sample.response}"])


class Writer:
    """Answers request after request with one more sample that the run has not; `others` come in between, by number.

    `always` is the answer to every request; `first` is where in the pool it begins; `usage` what each is billed.
    """

    def __init__(self, others: dict[int, str] | None = None, *, always: str | None = None, first: int = 0,
                 usage: tuple[int, int] = (20, 4)) -> None:  # fmt: skip
        rows = samples()
        known = dict.fromkeys(row.dialogue_id for row in rows)
        fresh = list(known)[RUN_CONVERSATIONS:]
        last = {row.dialogue_id: row for row in rows}  # the longest of each conversation: no two are alike
        self.pool = [last[name] for name in fresh]
        self.others, self.always, self.asked, self._usage = others or {}, always, first, usage

    def __call__(self, body: dict[str, Any], number: int) -> Behaviour:
        place = self.asked
        self.asked += 1
        if self.always is not None:
            return ok(self.always)
        return ok(self.others.get(place, written(self.pool[place % len(self.pool)])), usage=self._usage)
