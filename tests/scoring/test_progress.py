import asyncio
import io
import json
import os
import socket

import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm import Window
from efficient_empathy.scoring import Judgement
from efficient_empathy.scoring.progress import PROGRESS, ProgressDisplay, ProgressFile, command_of
from efficient_empathy.scoring.stage import score
from judge_specs import spec_of
from samples import make_samples

OK = Judgement("a", "ok", "j", "r", {"a": 1.0}, cost_usd=0.25, requests=2)
FAILED = Judgement("b", "api_error", "j", "r")


def shown(*, terminal: bool) -> tuple[str, ProgressDisplay]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=140)
    with ProgressDisplay(console, 10, 4, Window(8)) as progress:
        progress.update([OK, FAILED])
    return text.getvalue(), progress


def test_on_a_terminal_there_is_a_bar_with_all_that_matters() -> None:
    text, progress = shown(terminal=True)
    for part in ("6/10", "$0.2500", "1 api_error", "concurrency 8", "left"):
        assert part in text
    assert (progress.requests, progress.cost_usd) == (2, 0.25)


def test_elsewhere_there_are_plain_lines() -> None:
    text, _ = shown(terminal=False)
    assert text.splitlines()[-1].startswith("scored 6 of 10")
    assert "\x1b" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_what_takes_longer_than_a_second_each_is_told_by_its_time(monkeypatch, terminal) -> None:
    now = 0.0
    monkeypatch.setattr("efficient_empathy.scoring.progress.time.monotonic", lambda: now)
    text = io.StringIO()
    with ProgressDisplay(Console(file=text, force_terminal=terminal, width=140), 100, 4, None) as progress:
        now = 17.0
        progress.update([OK] * 5)
    assert "3.4 s each" in text.getvalue()
    assert terminal or text.getvalue().splitlines()[-1] == "scored 9 of 100 (3.4 s each, 5 min 9 s left) · $1.2500"


class Judge:
    name = "steady"
    concurrency = 3

    def __init__(self, path, *, fails: bool = False) -> None:
        self.path, self.fails, self.told = path, fails, []

    async def judge(self, samples):
        await asyncio.sleep(0)
        if self.path.exists():
            self.told.append(json.loads(self.path.read_text()))
        if self.fails:
            raise UserError("the key is wrong")
        return [Judgement(s.id, "ok", self.name, "r", {"sensibility": 1, "rationality": 2}) for s in samples]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "dialogues.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": s.context[0].text}, {"role": "assistant", "content": s.response}]}
        for s in make_samples(9)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_scoring_tells_of_itself_from_its_first_second_to_its_end(tmp_path, source) -> None:
    run = Workspace(tmp_path / "run")
    judge = Judge(run.root / PROGRESS)
    score(source, run, judge)
    first, last = judge.told[0], json.loads((run.root / PROGRESS).read_text())
    assert (first["state"], first["counts"]["total"], first["counts"]["done"]) == ("running", 9, 0)
    assert (last["state"], last["counts"]["done"], last["counts"]["states"]) == ("complete", 9, {"ok": 9})
    assert (last["pid"], last["host"], last["judge"]) == (os.getpid(), socket.gethostname(), "steady")
    assert last["command"] is None, "pytest is no command of ours"
    assert not [path for path in run.root.iterdir() if path.name.endswith(".tmp")]


def test_what_ended_it_is_told(tmp_path, source) -> None:
    run = Workspace(tmp_path / "run")
    with pytest.raises(UserError, match="the key is wrong"):
        score(source, run, Judge(run.root / PROGRESS, fails=True))
    result = json.loads((run.root / PROGRESS).read_text())
    assert (result["state"], result["reason"], result["stopped_by"]) == ("error", "the key is wrong", [])


def test_a_place_that_cannot_be_written_ends_nothing(tmp_path) -> None:
    console = Console(file=io.StringIO())
    display = ProgressDisplay(console, 1, 0, None)
    ProgressFile(tmp_path / "gone", "j", spec_of("j"), display, console).end("complete")


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["/bin/efficient-empathy", "score", "a b"], ["score", "a b"]),
        (["/x/efficient_empathy/__main__.py", "run", "r.yaml"], ["run", "r.yaml"]),
        (["/bin/efficient-empathy", "--judge", "openai:m@http://h/v1"], ["--judge", "openai:m@http://h/v1"]),
        (["/bin/efficient-empathy", "--base-url", "http://h/v1?key=secret"], None),
        (["/bin/efficient-empathy", "--base-url", "http://me:secret@h/v1"], None),
        (["/bin/pytest", "score"], None),
    ],
)
def test_only_our_own_command_is_told_and_never_with_a_secret(argv, kept) -> None:
    assert command_of(argv) == kept
