"""A run with two models' responses, and judges that are known by how they choose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import misbehaviours as does
from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.run.workspace import Workspace

SHOWN = re.compile(r"<<<response ([12]) ([0-9a-f]{12})\n(.*)\nresponse \1 \2>>>", re.DOTALL)


def story(i: int) -> Sample:
    return Sample.of(
        [Utterance("speaker", f"My cat number {i} ran away.")],
        f"I hope that cat {i} comes home soon.",
        dialogue_id=f"d{i // 2}",
    )


def run_of_two(root: Path, a: Sequence[str | None], b: Sequence[str | None]) -> Workspace:
    """A run whose models `moe` and `base` said `a` and `b`; two samples a dialogue."""
    workspace = Workspace(root).create()
    samples = [story(i) for i in range(len(a))]
    write_samples(samples, workspace.samples)
    workspace.generations.mkdir()
    for name, said in (("moe", a), ("base", b)):
        respond(workspace, name, dict(zip([sample.id for sample in samples], said, strict=True)))
    return workspace


def respond(workspace: Workspace, name: str, said: dict[str, str | None]) -> None:
    ends = ["error" if text is None else "stop" for text in said.values()]
    columns = {"sample_id": list(said), "response": list(said.values()), "finish_reason": ends}
    frame = pl.DataFrame(columns, schema_overrides={"response": pl.String})
    frame.write_parquet(workspace.generations / f"{name}.parquet")


def shown(body: dict[str, Any]) -> tuple[str, str]:
    """The two responses that a request shows, in order, each by its own fence."""
    prompt = body["messages"][-1]["content"]
    found = {number: text.removeprefix("Listener: ") for number, _, text in SHOWN.findall(prompt)}
    return found["1"], found["2"]


def prefers(choose: Callable[[str, str], int]) -> Callable[[dict[str, Any], int], does.Behaviour]:
    """A server's script: what `choose` makes of the two responses in the order shown, 0, 1 or 2."""
    return lambda body, number: does.ok(json.dumps({"preference": choose(*shown(body))}), usage=(1000, 10))


FIRST = prefers(lambda first, second: 1)
LONGER = prefers(lambda first, second: 1 if len(first) > len(second) else 2)
TIE = prefers(lambda first, second: 0)
