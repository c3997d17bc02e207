"""Tests of rubrics that are started here: on which golden set, by whom, held against what, at what price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.compare.stage import FOLDER as COMPARISONS
from efficient_empathy.prompts.golden.golden_set import golden_folder, read_golden
from efficient_empathy.prompts.golden.records import GoldenManifest
from efficient_empathy.prompts.testing.records import slug
from efficient_empathy.prompts.testing.rounds import plan
from efficient_empathy.prompts.testing.stage import TESTS
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.studio.pages.prompts.history import Test
from efficient_empathy.studio.pages.prompts.rubrics import references
from efficient_empathy.studio.pages.samples.filters import GOLDEN
from efficient_empathy.studio.server.bodies import Body
from efficient_empathy.studio.server.jobs import command_line, flags
from efficient_empathy.studio.server.judging import Judging

BUNDLED = "bundled"
MOST_REPEATS = 10
_Key = Annotated[str, Field(max_length=300)]


class TestBody(Body):
    """A test of a rubric."""

    __test__ = False

    rubric: Annotated[str, Field(max_length=100)]
    golden: _Key = BUNDLED
    """A key of `golden_sets`."""
    baseline: _Key = ""
    """The key of an earlier test that it is held against; empty for what the set expects."""
    repeats: int = Field(default=3, ge=1, le=MOST_REPEATS)
    judging: Judging = Field(default_factory=Judging)


class CompareBody(Body):
    """Two tests to put side by side, by their keys."""

    a: _Key
    b: _Key


@dataclass(frozen=True, slots=True)
class GoldenChoice:
    """A golden set that can be chosen: what it is called, and what `prompts test` takes for it."""

    key: str
    name: str
    items: int
    corpus: str
    place: str


def golden_sets(runs: Iterable[tuple[str, Workspace]]) -> dict[str, GoldenChoice]:
    """The package's set, and those of the runs (made of samples on the page Samples), by key."""
    places = {BUNDLED: golden_folder(BUNDLED)}
    for run, workspace in runs:
        folder = workspace.root / GOLDEN
        if folder.is_dir():
            places |= {f"{run}/{one.name}": one for one in sorted(folder.iterdir()) if one.is_dir()}
    choices = {}
    for key, place in places.items():
        try:
            manifest = GoldenManifest.read(place / "manifest.json")
        except UserError:
            continue
        target = BUNDLED if key == BUNDLED else str(place)
        title = "the package's own" if key == BUNDLED else key
        choices[key] = GoldenChoice(key, title, manifest.items, manifest.corpus, target)
    return choices


class Tester:
    """Makes commands of what the page's forms say. All raise `UserError` for what there is not."""

    def __init__(self, runs_folder: Path, sets: Mapping[str, GoldenChoice], tests: Sequence[Test]) -> None:
        self._folder, self._sets = runs_folder, sets
        self._tests = {test.key: test for test in tests}

    def command(self, body: TestBody) -> list[str]:
        """The words of `prompts test`."""
        golden = self._golden(body)
        baseline = self._test(body.baseline) if body.baseline else None
        if baseline and baseline.record.corpus != golden.corpus:
            raise UserError(f"{baseline.title}, was a test on another golden set: choose one on {golden.name}")
        named = flags({
            "--rubric": self._rubric(body), "--judge": body.judging.judge, "--repeats": body.repeats,
            "--baseline": str(baseline.path.resolve()) if baseline else None, "--output": str(self._output(body)),
        })  # fmt: skip
        return ["prompts", "test", *named, *body.judging.words(self._folder), "--", golden.place]

    def price(self, body: TestBody) -> dict[str, Any]:
        """What `prompts test --dry-run` says, and the command."""
        rubric = Rubric.load(self._rubric(body))
        golden = read_golden(self._golden(body).place, rubric)
        folder, judge = Workspace(self._output(body)), body.judging.judge
        planned = plan(golden, rubric, [judge], body.repeats, folder, body.judging.options(self._folder))
        return {"plan": planned.model_dump(mode="json"), "command": command_line(self.command(body))}

    def comparison(self, body: CompareBody) -> list[str]:
        """The words of `prompts compare` for two results."""
        a, b = self._test(body.a), self._test(body.b)
        if a.key == b.key:
            raise UserError("these are one and the same test: choose two")
        if a.record.corpus != b.record.corpus:
            raise UserError("these tests were on two golden sets: choose two on the same one")
        golden = next((one.place for one in self._sets.values() if one.corpus == a.record.corpus), None)
        output = self._folder / COMPARISONS / f"{slug(a.key)}-vs-{slug(b.key)}"
        named = flags({"--golden": golden, "--output": str(output)})
        return ["prompts", "compare", *named, "--", str(a.path.resolve()), str(b.path.resolve())]

    def _rubric(self, body: TestBody) -> str:
        known = references(self._folder)
        if body.rubric not in known:
            raise UserError(f"there is no rubric {body.rubric!r} here: choose one of {', '.join(known)}")
        return known[body.rubric]

    def _golden(self, body: TestBody) -> GoldenChoice:
        if body.golden not in self._sets:
            raise UserError(f"there is no golden set {body.golden[:80]!r} here: choose one of {', '.join(self._sets)}")
        return self._sets[body.golden]

    def _test(self, key: str) -> Test:
        if key not in self._tests:
            raise UserError(f"there is no test {key[:80]!r} here any more: load the page again")
        return self._tests[key]

    def _output(self, body: TestBody) -> Path:
        return self._folder / TESTS / slug(body.golden)
