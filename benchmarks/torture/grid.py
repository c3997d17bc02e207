"""The grid: runs to start from, kills to try, what each came to."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.torture import forks, studio
from benchmarks.torture.comparison import Answers, answers, contents, difference, problems
from benchmarks.torture.server import Server
from benchmarks.torture.stages import STAGES, Stage, write_inputs

CONCURRENCY = 4
FIRST = ("aiohttp", "polars", "efficient_empathy.scoring.stage", "efficient_empathy.selection", "rich.progress")
"""What every stage imports; what else they do is known once each has run."""
TRIES = 20
"""How often a command may end before it is killed."""

STUDIO = Stage(studio.NAME, studio.START, "", 60)
"""The studio goes through the same table; `studio.torture` kills it."""


@dataclass(frozen=True)
class Kill:
    """One kill: which stage, by which number (from 0), and what came of it (nothing where all is well)."""

    stage: str
    number: int
    where: str
    faults: tuple[str, ...]


class Grid:
    """All kills, `kills` in number, drawn by `seed`; `names` are the stages, all by default."""

    def __init__(self, folder: Path, kills: int, seed: int, names: Sequence[str] | None) -> None:
        self.folder, self.seed = folder, seed
        self.stages = [stage for stage in (*STAGES, STUDIO) if names is None or stage.name in names]
        self._journal = folder / "kills.jsonl"
        share = kills / sum(stage.kills for stage in self.stages)
        self.counts = {stage.name: math.ceil(stage.kills * share) for stage in self.stages}

    def run(self, lanes: int) -> None:
        """Make the runs to start from, then kill in so many lanes."""
        states = self.folder / "states"
        forks.import_all(FIRST)
        with Server() as server:
            prepare(self.folder / "preparation", states, server, self._needed())
        names: set[str] = set()
        for stage in self._needed():
            names |= set(json.loads((states / f"{stage.name}.modules").read_text()))
        forks.import_all(sorted(name for name in names if not name.startswith(("__", "benchmarks"))))
        order = sorted(range(len(self.stages)), key=lambda index: self.stages[index].kills)  # what takes long is first
        queue, lines = os.pipe()
        os.write(lines, bytes(order))
        os.close(lines)
        pids = []
        for lane in range(lanes):
            pid = os.fork()
            if not pid:
                self._be_lane(lane, queue)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)

    def table(self) -> tuple[str, int]:
        """Stage × kills × bad, as Markdown, and how many are bad or missing."""
        done = self._done()
        kills, bad = Counter(k.stage for k in done.values()), Counter(k.stage for k in done.values() if k.faults)
        lines = ["| stage | kills | bad |", "|---|--:|--:|"]
        lines += [f"| {stage.name} | {kills[stage.name]:,} | {bad[stage.name]:,} |" for stage in self.stages]
        lines.append(f"| all | {kills.total():,} | {bad.total():,} |")
        lines += [
            f"{kill.stage} {kill.number}, at {kill.where}: {'; '.join(kill.faults)}"
            for kill in done.values()
            if kill.faults
        ]
        missing = sum(self.counts.values()) - kills.total()
        if missing > 0:
            lines.append(f"{missing:,} kills are missing")
        return "\n".join(lines), bad.total() + max(0, missing)

    def _needed(self) -> list[Stage]:
        """The stages to run once: those that are killed, and what leaves the runs that they start from."""
        by_name = {stage.name: stage for stage in (*STAGES, STUDIO)}
        names = {stage.name for stage in self.stages}
        for name in [*names]:
            while name := by_name[name].start:
                names.add(name)
        return [stage for stage in STAGES if stage.name in names]

    def _done(self) -> dict[tuple[str, int], Kill]:
        lines = self._journal.read_text("utf-8").splitlines() if self._journal.exists() else []
        kills = [Kill(**json.loads(line)) for line in lines]
        return {(kill.stage, kill.number): kill for kill in kills}

    def _be_lane(self, number: int, queue: int) -> None:
        try:
            with Server() as server:
                lane = Lane(self.folder / f"lane-{number}", self.folder / "states", server)
                while index := os.read(queue, 1):
                    stage = self.stages[index[0]]
                    done = {n for name, n in self._done() if name == stage.name}
                    todo = [n for n in range(self.counts[stage.name]) if n not in done]
                    try:
                        lane.torture(stage, todo, self.counts[stage.name], self.seed, self._keep)
                    except Exception:  # its kills are missing then, and said to be
                        traceback.print_exc()
        finally:
            os._exit(0)

    def _keep(self, kill: Kill) -> None:
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(kill)) + "\n")
        if kill.faults:
            print(f"{kill.stage} {kill.number}, at {kill.where}: {'; '.join(kill.faults)}", file=sys.stderr, flush=True)


def prepare(folder: Path, states: Path, server: Server, stages: Sequence[Stage]) -> None:
    """Run every stage once, undisturbed, and keep the run that it leaves and the modules that it imports."""
    states.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        if (states / f"{stage.name}.modules").exists():
            continue
        places = fresh(folder, states, stage, server)
        work = forks.command(stage.arguments(**places), states / f"{stage.name}.modules")
        outcome = forks.run(work, folder / "root", folder / "log")
        if outcome.status:
            (states / f"{stage.name}.modules").unlink(missing_ok=True)
            raise RuntimeError(f"{stage.name} fails by itself, with {outcome.status}: {outcome.said[-2000:]}")
        print(f"{stage.name}: {outcome.seconds:.1f} s, {len(outcome.moments)} moments", flush=True)
        shutil.rmtree(states / stage.name, ignore_errors=True)
        if (folder / "root" / "run").exists():
            shutil.copytree(folder / "root" / "run", states / stage.name, symlinks=True)


def fresh(folder: Path, states: Path, stage: Stage, server: Server) -> dict[str, object]:
    """A new root with the run that a stage starts from; the places in its command."""
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "out").mkdir(parents=True)
    if stage.start:
        shutil.copytree(states / stage.start, root / "run", symlinks=True)
    return {"run": root / "run", "out": root / "out", **write_inputs(folder, server.url)}


class Lane:
    """One place where commands are killed, with a server of its own."""

    def __init__(self, folder: Path, states: Path, server: Server) -> None:
        self._folder, self._states, self._server = folder, states, server
        self._root = folder / "root"

    def torture(self, stage: Stage, todo: Sequence[int], count: int, seed: int, keep: Callable[[Kill], None]) -> None:
        """Try the kills `todo` of `count`: the even ones at moments, over all that there are, the odd ones at times."""
        if not todo:
            return
        if stage is STUDIO:
            studio.torture(
                lambda: fresh(self._folder, self._states, stage, self._server), self._folder, todo, seed,
                lambda number, where, faults: keep(Kill(stage.name, number, where, tuple(faults))),
            )  # fmt: skip
            return
        wanted, other = self._undisturbed(stage), self._undisturbed(stage)
        if vary := sorted(p for p in {*wanted.files, *other.files} if wanted.files.get(p) != other.files.get(p)):
            raise RuntimeError(f"{stage.name} cannot be compared: two undisturbed runs differ in {', '.join(vary)}")
        seconds = max(wanted.seconds, other.seconds)
        for number in todo:
            draw = random.Random(f"{seed} {stage.name} {number}")
            for attempt in range(TRIES):
                where, how = _moment(wanted.moments, seconds, draw, number, count if attempt == 0 else 0)
                if (faults := self._kill(stage, wanted, how)) is not None:
                    keep(Kill(stage.name, number, where, tuple(faults)))
                    break
            else:
                raise RuntimeError(f"{stage.name} ended {TRIES} times before it could be killed")

    def _go(self, stage: Stage, places: dict[str, object], **how: float) -> forks.Outcome:
        return forks.run(forks.command(stage.arguments(**places)), self._root, self._folder / "log", **how)  # type: ignore[arg-type]

    def _undisturbed(self, stage: Stage) -> Undisturbed:
        places = fresh(self._folder, self._states, stage, self._server)
        before = answers(self._root)
        self._server.clear()
        outcome = self._go(stage, places)
        if outcome.status:
            raise RuntimeError(f"{stage.name} fails by itself, with {outcome.status}: {outcome.said[-2000:]}")
        books = self._server.books()
        undisturbed = Undisturbed(
            contents(self._root), answers(self._root), before, dict(books.requests), outcome.moments, outcome.seconds
        )
        if found := problems(self._root / "run"):
            raise RuntimeError(f"{stage.name} leaves a run that is not whole: {'; '.join(found)}")
        return undisturbed

    def _kill(self, stage: Stage, wanted: Undisturbed, how: dict[str, float]) -> list[str] | None:
        """What is wrong after a kill and the same command undisturbed; None where it had ended before it was killed."""
        places = fresh(self._folder, self._states, stage, self._server)
        self._server.clear()
        first = self._go(stage, places, **how)
        if first.status != -signal.SIGKILL or (stage.once and contents(self._root) == wanted.files):
            return None
        at_kill, kept = self._server.books(), answers(self._root)
        self._server.clear()
        again = self._go(stage, places)
        after, end = self._server.books(), answers(self._root)
        faults = []
        if again.status or "Traceback" in again.said:
            faults.append(f"the second run ended with {again.status}: {' / '.join(again.said.splitlines()[-3:])}")
        files = contents(self._root)
        wrong = sorted(place for place in {*files, *wanted.files} if files.get(place) != wanted.files.get(place))
        faults += [_fault(place, wanted.files.get(place), files.get(place)) for place in wrong[:5]]
        faults += self._money(wanted, kept, end, at_kill.requests, after.requests, at_kill.dollars + after.dollars)
        return faults + problems(self._root / "run")

    def _money(
        self,
        wanted: Undisturbed,
        kept: Answers,
        end: Answers,
        first: dict[str, int],
        second: dict[str, int],
        dollars: float,
    ) -> list[str]:
        """What the server's books say against the ledger's."""
        faults = []
        twice = sum(first.values()) + sum(second.values()) - sum(wanted.requests.values())
        if not 0 <= twice <= CONCURRENCY:
            faults.append(f"{twice} requests more than without the kill, with {CONCURRENCY} in flight")
        if lost := kept.answered - end.answered:
            faults.append(f"{len(lost)} judgements that were there are lost")
        new = len(kept.answered) - len(wanted.before.answered) + kept.under_way
        if wanted.requests and sum(first.values()) - new > CONCURRENCY and kept.answered:
            faults.append(f"{sum(first.values())} requests were answered and {new} judgements kept")
        if end.twice or end.content != wanted.end.content:
            faults.append(f"the ledger's judgements are not as undisturbed ({end.twice} twice)")
        if end.paid_usd - wanted.before.paid_usd < dollars - 1e-6 and end.answered:
            faults.append(
                f"the ledger says ${end.paid_usd - wanted.before.paid_usd:.6f}, the server billed ${dollars:.6f}"
            )
        return faults


def _moment(
    moments: Sequence[str], seconds: float, draw: random.Random, number: int, count: int
) -> tuple[str, dict[str, float]]:
    """When to kill, in words and as `forks.run` takes it: `number` of `count`, the even ones at moments, over all that
    there are where these are enough, the odd ones at times."""
    if number % 2 or not moments:
        after = draw.uniform(0.0, seconds)
        return f"{after:.3f} s of {seconds:.3f} s", {"kill_after_s": after}
    index = number // 2
    enough = count // 2 >= len(moments) and index < len(moments)
    at = index + 1 if enough else draw.randint(1, len(moments))
    return moments[at - 1], {"kill_at": at}


def _fault(place: str, wanted: str | None, actual: str | None) -> str:
    """What is wrong with a file that is not as in an undisturbed run."""
    if wanted is None or actual is None:
        return f"{place} is {'left over' if wanted is None else 'missing'}"
    return f"{place} is not as undisturbed {difference(wanted, actual)}".strip()


@dataclass(frozen=True)
class Undisturbed:
    """What a stage leaves where nothing happens to it."""

    files: dict[str, str]
    end: Answers
    before: Answers
    requests: dict[str, int]
    moments: tuple[str, ...]
    seconds: float
