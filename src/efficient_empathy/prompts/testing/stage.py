"""The stage `prompts test`: judges tested on a golden set, with regression verdicts.

A check is *real* if chance alone would raise so large a figure less often than `false_alarms`, for all checks together
(Holm). A real one is a `regression`, unless its interval lies within the tolerance: then it is `soft`. One that is not
real is a `pass`, unless the set is too small for a change of the tolerated size to be found: then it is `insufficient`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import finite, six_decimals
from efficient_empathy.foundation.statistics.resampling import holm
from efficient_empathy.prompts.golden.golden_set import Golden, read_golden
from efficient_empathy.prompts.golden.records import mismatches
from efficient_empathy.prompts.settings import Procedure, Tolerances, resolve_policy
from efficient_empathy.prompts.testing.checks import UNSEEN, Check, Reference, Setting, checks
from efficient_empathy.prompts.testing.figures import changes, close, repeatability
from efficient_empathy.prompts.testing.readings import Expectations, Readings, WatchedRules
from efficient_empathy.prompts.testing.records import (
    LATEST,
    Answers,
    CheckRecord,
    GoldenNote,
    ItemRounds,
    Results,
    TestRecord,
    Verdict,
    read_result,
    slug,
)
from efficient_empathy.prompts.testing.rounds import ask
from efficient_empathy.scoring.judges.contract import JudgeOptions
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import RulePolicy

TESTS = Path("prompt-tests")
"""Where the tests of golden sets are kept by default."""
EXIT: dict[Verdict, int] = {"pass": 0, "soft": 3, "regression": 4, "insufficient": 5, "incomparable": 6}
"""Exit statuses. The first of `ORDER` that any check, or any judge of several, comes to is that of all."""
ORDER: tuple[Verdict, ...] = ("regression", "incomparable", "insufficient", "soft", "pass")


@dataclass(frozen=True)
class Decision:
    """A verdict, and the checks that it follows from."""

    verdict: Verdict
    checks: tuple[CheckRecord, ...] = ()
    items_needed: int | None = None
    """How many items it would take for a verdict; None where more would not help."""


def decide(checks: Sequence[Check], tolerances: Tolerances) -> Decision:
    """The verdict on each check, and on all.

    `resolution` is how large a figure has to be to be found real; `items_needed`, of an insufficient check, is how many
    items it would take for that to come down to the tolerance, None where more items would not help.
    """
    p_values = [check.p_value() for check in checks]
    holm_values = holm(p_values)
    level = tolerances.false_alarms / max(1, len(checks))
    records = tuple(
        _decide_check(check, p, p_holm, level, tolerances)
        for check, p, p_holm in zip(checks, p_values, holm_values, strict=True)
    )
    sizes = [one.items_needed for one in records if one.verdict == "insufficient"]
    numbers = [items for items in sizes if items is not None]
    return Decision(
        worst([one.verdict for one in records]),
        records,
        max(numbers) if numbers and len(numbers) == len(sizes) else None,
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that stands for all; without any `insufficient`."""
    return next((one for one in ORDER if one in verdicts), "insufficient")


def _decide_check(check: Check, p: float, p_holm: float, level: float, tolerances: Tolerances) -> CheckRecord:
    tolerance = float(getattr(tolerances, check.name))
    resolution = max(check.high, check.unseen) if check.note else check.resolution(level)
    furthest = max(abs(check.low), abs(check.high)) if check.two_sided else check.high
    items = None
    verdict: Verdict
    if p_holm <= tolerances.false_alarms:
        verdict = "soft" if furthest <= tolerance else "regression"
    elif resolution <= tolerance:
        verdict = "pass"
    else:
        verdict = "insufficient"
        items = None if check.note else _items_needed(check, resolution, tolerance)
    numbers = {
        "value": check.value, "low": check.low, "high": check.high, "p": p, "p_holm": p_holm,
        "resolution": resolution,
    }  # fmt: skip
    return CheckRecord.model_validate(
        {
            "name": check.name,
            "axis": check.axis,
            **finite(numbers, six_decimals),
            "tolerance": tolerance,
            "items": check.items,
            "verdict": verdict,
            "items_needed": items,
            "note": check.note,
        }
    )


def _items_needed(check: Check, resolution: float, tolerance: float) -> int | None:
    """How many items: a resolution falls with their square root, what none of them shows by the rule of three."""
    if not 0 < tolerance < math.inf or not math.isfinite(resolution):
        return None
    by_size = check.items * (resolution / tolerance) ** 2 if resolution > check.unseen else 0.0
    by_none = math.log(UNSEEN) / math.log(1 - tolerance) if tolerance < 1 else 0.0
    return math.ceil(max(by_size, by_none, check.items + 1) / 10) * 10


NO_EARLIER = "--baseline latest: {folder} has no earlier result: test once without --baseline, and then with it"


@dataclass(frozen=True)
class TestRun:
    """What became of all judges that were tested."""

    __test__ = False

    golden: GoldenNote
    folder: Path
    results: tuple[tuple[Path, TestRecord], ...]
    """Each with its file."""

    @property
    def verdict(self) -> Verdict:
        """The worst of all judges."""
        return worst([result.verdict for _, result in self.results])

    @property
    def exit_code(self) -> int:
        """The exit status that says so."""
        return EXIT[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """Everything but the items' judgements, which are in the files."""
        results = [
            {**record.model_dump(mode="json", exclude={"items"}), "result": str(path)} for path, record in self.results
        ]
        return {
            "golden": self.golden.model_dump(mode="json"),
            "folder": str(self.folder),
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "results": results,
        }


def folder_of(golden: Golden) -> Path:
    """Where the tests of a golden set are kept by default."""
    return TESTS / slug(golden.name)


def run_tests(
    golden_set: Path | str,
    references: Sequence[str] = ("distilled",),
    rubric: Rubric | None = None,
    procedure: Procedure | None = None,
    options: JudgeOptions | None = None,
    *,
    output: Path | None = None,
    console: Console | None = None,
) -> TestRun:
    """Test judges, each named as for `score`, by `rubric` on a golden set.

    What is asked is kept in the ledger of `output` (by default `folder_of`), and each judge's result in its `results/`.
    Raises `UserError`, and `StoppedError` on Ctrl-C; what was answered until then is kept.
    """
    console, rubric, procedure = console or Console(stderr=True), rubric or Rubric.load(), procedure or Procedure()
    golden = read_golden(golden_set, rubric)
    policy = resolve_policy(procedure, golden.manifest.policy, {axis.name: axis.scale for axis in rubric.axes})
    folder = Workspace(output or folder_of(golden)).create()
    earlier_results, options = Results(folder.root), options or {}
    if procedure.baseline not in (None, LATEST):
        read_result(Path(str(procedure.baseline)))  # before anything is paid for
    if procedure.baseline == LATEST and not earlier_results.paths():
        raise UserError(NO_EARLIER.format(folder=earlier_results.folder))
    results = []
    with folder.lock(lambda: console.print(f"Another process is testing in {folder.root}; waiting for it.")):
        before = len(earlier_results.paths())
        for reference in references:
            path: Path | None = None
            answers: Answers
            if procedure.reuse:
                path, answers, earlier = _last(golden, rubric, reference, folder, options, before)
            else:
                answers = ask(golden, rubric, reference, procedure.repeats, folder, options, console)
                earlier = before
            result = assess(
                golden, answers, _baseline(procedure.baseline, earlier_results, answers, earlier), policy, procedure
            )
            if path is None:
                path = earlier_results.write(result)
            else:
                result.write(path)
            results.append((path, result))
    about = GoldenNote(name=golden.name, corpus=golden.manifest.corpus, items=len(golden.items))
    return TestRun(about, folder.root, tuple(results))


def assess(
    golden: Golden,
    answers: Answers,
    baseline: tuple[str, TestRecord] | None,
    policy: RulePolicy | None,
    procedure: Procedure,
) -> TestRecord:
    """The answers with their figures and the verdict: beside `baseline`, an earlier result and its name, or by default
    beside what the golden set expects."""
    axes = golden.axes
    now = Readings.of(answers.items, axes)
    ids = [item.sample.id for item in golden.items]
    dialogues = [item.sample.dialogue_id for item in golden.items]
    setting = Setting(dialogues, golden.weights, procedure.seed, procedure.tolerances.confidence)
    expectations = Expectations.of([item.expected for item in golden.items], axes)
    rules = WatchedRules.of(policy, answers.rubric.axes, golden.samples) if policy else None
    scales = answers.rubric.axes
    name, against = baseline or ("the golden set's expectations", golden.manifest)
    differing = mismatches(answers, against)
    reference: Reference | None = None
    decision = Decision("incomparable")
    if not differing:
        reference = _reference(ids, baseline[1].items, axes) if baseline else expectations
        one_reading = golden.manifest.judge is not None and golden.manifest.origin.readings == 1
        decision = decide(checks(now, reference, rules, setting, noise=one_reading), procedure.tolerances)
    return TestRecord.of(
        **{key: getattr(answers, key) for key in Answers.model_fields},
        policy=policy,
        seed=procedure.seed,
        figures=close(now, expectations, scales, setting),
        repeatability=repeatability(now, setting),
        baseline={"name": name, "kind": "result" if baseline else "expectations"},
        changes=changes(now, reference, rules, setting, ids) if reference is not None and rules else None,
        against_baseline=close(now, reference, scales, setting) if baseline and reference is not None else None,
        verdict=decision.verdict,
        exit_code=EXIT[decision.verdict],
        checks=decision.checks,
        items_needed=decision.items_needed,
        tolerances=procedure.tolerances,
        mismatches=differing,
    )


def _reference(ids: Sequence[str], items: Sequence[ItemRounds], axes: Sequence[str]) -> Reference:
    """An earlier result's readings, in the order of `ids`, which are its own too: the corpora are the same."""
    by_id = {item.id: item for item in items}
    missing = next((i for i in ids if i not in by_id), None)
    if missing is not None:
        raise UserError(f"the baseline has no judgement of the item {missing}: take another result")
    return Readings.of([by_id[i] for i in ids], axes)


def _baseline(name: str | None, results: Results, answers: Answers, earlier: int) -> tuple[str, TestRecord] | None:
    if name is None:
        return None
    if name != LATEST:
        return name, read_result(Path(name))
    latest = results.latest(answers.judge.name, earlier)
    if latest is None:
        raise UserError(NO_EARLIER.format(folder=results.folder))
    return latest[0].name, latest[1]


def _last(
    golden: Golden, rubric: Rubric, reference: str, folder: Workspace, options: JudgeOptions, count: int
) -> tuple[Path, TestRecord, int]:
    """A judge's last result on this golden set, its file, and how many results are earlier."""
    spec = build_judge(reference, rubric, folder, options).spec
    for at, (path, result) in reversed(list(enumerate(Results(folder.root).all()[:count]))):
        if result.judge.spec == spec and result.corpus == golden.manifest.corpus:
            return path, result, at
    raise UserError(f"--reuse: {folder.root} has no result of {reference} by this rubric: leave --reuse out to ask")
