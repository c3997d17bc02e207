"""What must hold against every engine. A check runs a command as a user does, and says what it saw."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.engines.servers import SLOTS, Engine

HERE = Path(__file__).parent
TIMEOUT_S = 900
NEW_TOKENS = 40
ALONE = 0.999
"""A distribution with more than this on one number is no spread."""


class CheckError(Exception):
    """What did not hold."""


def require(holds: bool, words: str) -> None:
    """Raise `CheckError` unless it holds."""
    if not holds:
        raise CheckError(words)


class Runner:
    """Runs our commands against one engine, in a folder that begins empty."""

    def __init__(self, engine: Engine, url: str, folder: Path, samples: int) -> None:
        self.engine = engine
        self.samples = samples
        self.home = folder / "runs" / engine.name
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        model = engine.model if isinstance(engine.model, str) else str(folder / engine.model)
        self._model = ["--model", model, "--base-url", url, "--concurrency", str(SLOTS), "--timeout", str(TIMEOUT_S)]
        with files("efficient_empathy").joinpath("assets/dialogues/test.jsonl").open(encoding="utf-8") as lines:
            self.source = self.home / "dialogues.jsonl"
            self.source.write_text("".join(islice(lines, samples // 2)), "utf-8")  # two samples each

    def ask(self, *arguments: str | Path, may_fail: bool = False) -> dict[str, Any]:
        """The JSON of a command that asks the engine; it must end with 0, or where it `may_fail` with 1."""
        return self.run(*arguments, *self._model, may_fail=may_fail)

    def run(self, *arguments: str | Path, may_fail: bool = False) -> dict[str, Any]:
        """The JSON of any command, and in `failed` whether it ended with 1."""
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        done = subprocess.run(
            [sys.executable, "-m", "efficient_empathy", *map(str, arguments), "--json"],
            capture_output=True,
            text=True,
            cwd=self.home,
            env=environment,
            check=False,
        )
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        require("Traceback" not in done.stderr, f"a traceback: {last}")
        require(done.returncode in ((0, 1) if may_fail else (0,)), f"exit status {done.returncode}: {last}")
        report: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        return {**report, "failed": done.returncode == 1}

    @cached_property
    def answered(self) -> Path:
        """A run of the distilled judge with the engine's responses to its samples."""
        run = self.home / "responses"
        self.run("score", self.source, "--run", run)
        limits = ["--part", "all", "--name", "smollm2", "--max-new-tokens", NEW_TOKENS]
        self.ask("generate", "--run", run, *map(str, limits))
        return run


def check_judge(runner: Runner) -> str:
    """`score` with the package's rubric: all parse where JSON is constrained, else each failure has its reason."""
    constrains = runner.engine.constrains_json
    run = runner.home / "judge"
    report = runner.ask(*_score(runner, run), may_fail=not constrains)
    states = _states(report, run, runner.samples)
    if constrains:
        require(states["ok"] == runner.samples, f"{states} with replies constrained to JSON: {report['reasons']}")
        return f"{states['ok']} of {runner.samples} replies parse, constrained to JSON"
    require(report["failed"] == (not states["ok"]), f"exit status {int(report['failed'])}: {dict(states)}")
    return f"JSON is not constrained: {_tell(states)}, each failure with its reason{_failure(report)}"


def check_form(runner: Runner) -> str:
    """`score --reply text` with a short rubric: a small model fills in at least half of the forms."""
    run = runner.home / "form"
    report = runner.ask(*_score(runner, run), *_form())
    states = _states(report, run, runner.samples)
    require(2 * states["ok"] >= runner.samples, f"{states}: {report['reasons']}")
    return f"{_tell(states)} in plain text"


def check_logprobs(runner: Runner) -> str:
    """`score --logprobs`: distributions with more than one number in them, or a reason why there is none."""
    run = runner.home / "logprobs"
    if not runner.engine.gives_logprobs:
        report = runner.ask(*_score(runner, run), "--logprobs", *_form(), may_fail=True)
        states = _states(report, run, runner.samples)
        require(not states["ok"], f"{states['ok']} scores without log-probabilities")
        require(any("gave no log-probabilities" in reason for reason in _reasons(run)), str(report["reasons"]))
        return f"the server gives none: {_tell(states)}, and the reason says so"
    report = runner.ask(*_score(runner, run), "--logprobs")
    require(_states(report, run, runner.samples)["ok"] == runner.samples, f"{report['states']}: {report['reasons']}")
    scores = pl.read_parquet(run / "scores.parquet")
    shares = []
    for axis in ("sensibility", "rationality"):
        tables = np.array(scores[f"{axis}_probabilities"].to_list())
        require(np.allclose(tables.sum(1), 1, atol=1e-3), f"{axis}: distributions that do not add up to 1")
        expected = tables @ np.arange(tables.shape[1])
        require(np.allclose(expected, scores[axis].to_numpy(), atol=0.01), f"{axis}: scores are not the expectations")
        shares.append(tables.max(1))
    largest = np.concatenate(shares)
    require(bool((largest < ALONE).all()), f"{int((largest >= ALONE).sum())} distributions with one number alone")
    return f"{runner.samples} of {runner.samples}; the likeliest number has {largest.min():.2f} to {largest.max():.2f}"


def check_generate(runner: Runner) -> str:
    """`generate`: a response for every context."""
    rows = pl.read_parquet(runner.answered / "generations" / "smollm2.parquet")
    empty = rows.filter(pl.col("response").str.strip_chars() == "").height
    require(rows.height == runner.samples and not empty, f"{rows.height} responses, {empty} of them empty")
    return f"{rows.height} responses of {rows['response'].str.len_chars().mean():.0f} characters"


def check_quality(runner: Runner) -> str:
    """`evaluate --metrics quality`: figures where judged, and how many were."""
    constrains = runner.engine.constrains_json
    report = runner.ask("evaluate", "--run", runner.answered, "--metrics", "quality", may_fail=not constrains)
    metrics = report["metrics"]
    if not constrains:
        require(report["failed"] == (not metrics["quality_judged"]), f"exit status {int(report['failed'])}: {metrics}")
        return f"JSON is not constrained: {metrics['quality_judged']:.0f} % judged{_failure(report)}"
    require(metrics["quality_judged"] == 100, f"{metrics['quality_judged']} % judged")
    axes = ("naturalness", "coherence", "empathy")
    require(all(1 <= metrics[axis] <= 3 for axis in axes), f"off the scale: {metrics}")
    return ", ".join(f"{axis} {metrics[axis]:.2f}" for axis in axes) + ", all judged"


def check_pairwise(runner: Runner) -> str:
    """`pairwise` in both orders: every pair has a verdict, and none is lost."""
    constrains = runner.engine.constrains_json
    against = ["--a", "smollm2", "--b", "reference", "--max-tokens", str(NEW_TOKENS)]
    report = runner.ask("pairwise", "--run", runner.answered, *against, may_fail=not constrains)
    verdicts = Counter({name: n for name, n in report["verdicts"].items() if n})
    require(sum(verdicts.values()) == runner.samples, f"{dict(verdicts)} of {runner.samples} pairs")
    if not constrains:
        require(report["failed"] == (report["n"] == 0), f"exit status {int(report['failed'])}: {dict(verdicts)}")
        return f"JSON is not constrained: {_tell(verdicts)}{_failure(report)}"
    require(not verdicts["failed"], f"{dict(verdicts)}: {report['reasons']}")
    require(report["states"]["ok"] == 2 * runner.samples, f"{report['states']}: {report['reasons']}")
    return _tell(verdicts)


CHECKS: Mapping[str, Callable[[Runner], str]] = {
    "judge": check_judge,
    "form": check_form,
    "logprobs": check_logprobs,
    "generate": check_generate,
    "quality": check_quality,
    "pairwise": check_pairwise,
}


def timed(check: Callable[[Runner], str], runner: Runner) -> str:
    """What a check saw, and how long it took."""
    begin = time.monotonic()
    return f"{check(runner)} ({time.monotonic() - begin:.0f} s)"


def _score(runner: Runner, run: Path) -> list[str | Path]:
    return ["score", runner.source, "--run", run, "--judge", "openai"]


def _form() -> list[str | Path]:
    return ["--rubric", HERE / "warmth.yaml", "--reply", "text", "--max-tokens", "20"]


def _states(report: Mapping[str, Any], run: Path, samples: int) -> Counter[str]:
    """The states of a report, which must hold every sample; the ledger has a reason for each that failed."""
    states = Counter(report["states"])
    require(sum(states.values()) == samples, f"{dict(states)} of {samples} samples")
    require(len(_reasons(run)) == samples - states["ok"], f"{_reasons(run)} for {samples - states['ok']} failures")
    return states


def _reasons(run: Path) -> list[str]:
    """Why judgements failed, one each."""
    with closing(sqlite3.connect(f"file:{run}/ledger.sqlite?mode=ro", uri=True)) as ledger:
        rows = ledger.execute("SELECT reason FROM judgements WHERE state != 'ok' AND reason != ''")
        return [reason for (reason,) in rows]


def _failure(report: Mapping[str, Any]) -> str:
    return "; the command fails and says why" if report["failed"] else ""


def _tell(states: Counter[str]) -> str:
    return ", ".join(f"{n} {state}" for state, n in states.items() if n)
