"""`prompts test`: judges put to a golden set, measured, and given a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import SETTINGS, Flag
from efficient_empathy.prompts.golden.golden_set import Golden, read_golden
from efficient_empathy.prompts.golden.provenance import differences
from efficient_empathy.prompts.testing.checks import Reference, Setting, checks
from efficient_empathy.prompts.testing.figures import changes, close, repeatability
from efficient_empathy.prompts.testing.readings import Expected, Readings, Thresholds
from efficient_empathy.prompts.testing.results import LATEST, Results, plain, read_result, rewrite, slug
from efficient_empathy.prompts.testing.rounds import ask
from efficient_empathy.prompts.testing.verdicts import EXIT, Tolerances, decide, incomparable, worst
from efficient_empathy.scoring.judges.contract import JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.rubric import Rubric

NO_EARLIER = "--baseline latest: {folder} has no earlier result: test once without --baseline, and then with it"


@dataclass(frozen=True, config=SETTINGS)
class Procedure:
    """How judges are tested, and against what."""

    repeats: Annotated[int, Flag("-k --repeats")] = Field(default=3, ge=1)
    """How often each item is judged."""
    baseline: str | None = None
    """An earlier result of this golden set to compare with, a file, or latest; by default the golden set's own
    expectations."""
    reuse: bool = False
    """Ask nothing: look at each judge's last result again, with what else is given here."""
    policy: str | None = None
    """paper, exclusive or both; the golden set's by default."""
    alpha: float | None = None
    """Threshold of sensibility; the golden set's by default."""
    beta: float | None = None
    """Threshold of rationality; the golden set's by default."""
    tolerances: Annotated[Tolerances, Flag(inline=True)] = Tolerances()
    """Which changes are tolerated."""
    seed: int = Field(default=0, ge=0)
    """Of the draws of dialogues and of chance."""

    @property
    def thresholds(self) -> dict[str, Any]:
        """`policy`, `alpha`, `beta`; None where they are the golden set's."""
        return {"policy": self.policy, "alpha": self.alpha, "beta": self.beta}


def folder_of(golden: Golden) -> Path:
    """Where the tests of a golden set are kept by default."""
    return Path("prompt-tests") / slug(golden.name)


def run_tests(
    golden_set: Path | str,
    references: Sequence[str] = ("distilled",),
    rubric: Rubric | None = None,
    procedure: Procedure | None = None,
    options: JudgeOptions | None = None,
    *,
    output: Path | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Test judges, each named as for `score`, by `rubric` on a golden set.

    What is asked is kept in the ledger of `output` (by default `folder_of`), and each judge's result in its `results/`.
    Returns `{golden, verdict, exit_code, results: […]}`; a result is as `assess` has it, with the `result` file.
    Raises `UserError`, and `testing.StoppedError` on Ctrl-C; what was answered until then is kept.
    """
    console, rubric, procedure = console or Console(stderr=True), rubric or Rubric.load(), procedure or Procedure()
    golden = read_golden(golden_set, rubric)
    thresholds = Thresholds.of(golden.manifest.thresholds.model_dump(), **procedure.thresholds)
    folder = Workspace(output or folder_of(golden)).create()
    kept, options = Results(folder.root), options or {}
    if procedure.baseline not in (None, LATEST):
        read_result(Path(str(procedure.baseline)))  # before anything is paid for
    if procedure.baseline == LATEST and not kept.paths():
        raise UserError(NO_EARLIER.format(folder=kept.folder))
    found = []
    with folder.lock(lambda: console.print(f"Another process is testing in {folder.root}; waiting for it.")):
        before = len(kept.paths())
        for reference in references:
            if procedure.reuse:
                path, raw, earlier = _last(golden, rubric, reference, folder, options, before)
            else:
                raw = ask(golden, rubric, reference, procedure.repeats, folder, options, console)
                path, earlier = kept.write(raw, raw["judge"]["name"]), before
            baseline = _baseline(procedure.baseline, kept, raw, earlier)
            result = assess(golden, raw, baseline, thresholds, procedure)
            rewrite(path, result)
            found.append({**result, "result": str(path)})
    verdict = worst([one["verdict"] for one in found])
    record: dict[str, Any] = plain({
        "golden": {"name": golden.name, "corpus": golden.manifest.corpus, "items": len(golden.items)},
        "folder": str(folder.root),
        "verdict": verdict,
        "exit_code": EXIT[verdict],
        "results": found,
    })  # fmt: skip
    return record


def assess(
    golden: Golden,
    raw: Mapping[str, Any],
    baseline: tuple[str, Mapping[str, Any]] | None,
    thresholds: Thresholds,
    procedure: Procedure,
) -> dict[str, Any]:
    """A result with its figures and verdict: `raw` beside `baseline`, an earlier result and its name, or by default
    beside what the golden set expects.

    Adds `figures` (by axis, against the expectations), `repeatability`, `changes` (of subset), `baseline`, and what
    `verdicts.decide` gives.
    """
    axes = golden.axes
    now = Readings.of(raw["items"], axes)
    ids = [item.sample.id for item in golden.items]
    dialogues = [item.sample.dialogue_id for item in golden.items]
    tolerances = procedure.tolerances
    setting = Setting(dialogues, golden.weights, procedure.seed, tolerances.confidence)
    expected = Expected.of([item.expected for item in golden.items], axes)
    scales = raw["rubric"]["axes"]
    record = {key: value for key, value in raw.items() if key != "items"}
    record |= {
        "thresholds": {"policy": thresholds.policy, "alpha": thresholds.alpha, "beta": thresholds.beta},
        "seed": procedure.seed,
        "figures": close(now, expected, scales, setting),
        "repeatability": repeatability(now, setting),
    }
    manifest = golden.manifest.model_dump(mode="json")
    name, against = baseline or ("the golden set's expectations", manifest)
    differing = differences(raw, against)
    if differing:
        decided, reference = incomparable(differing, tolerances), None
    else:
        reference = _reference(ids, against, axes) if baseline else expected
        one_reading = manifest["judge"] is not None and manifest["made"].get("readings", 1) == 1
        decided = decide(checks(now, reference, thresholds, setting, noise=one_reading), tolerances)
    record |= {
        "baseline": {"name": name, "kind": "result" if baseline else "expectations"},
        "changes": changes(now, reference, thresholds, setting, ids) if reference is not None else None,
        "against_baseline": close(now, reference, scales, setting) if baseline and reference is not None else None,
        **decided,
        "exit_code": EXIT[decided["verdict"]],
    }
    found: dict[str, Any] = plain({**record, "items": raw["items"]})
    return found


def _reference(ids: Sequence[str], against: Mapping[str, Any], axes: Sequence[str]) -> Reference:
    """An earlier result's readings, in the order of `ids`, which are its own too: the corpora are the same."""
    by_id = {item["id"]: item for item in against["items"]}
    missing = next((i for i in ids if i not in by_id), None)
    if missing is not None:
        raise UserError(f"the baseline has no judgement of the item {missing}: take another result")
    return Readings.of([by_id[i] for i in ids], axes)


def _baseline(
    asked: str | None, kept: Results, raw: Mapping[str, Any], earlier: int
) -> tuple[str, dict[str, Any]] | None:
    if asked is None:
        return None
    if asked != LATEST:
        return asked, read_result(Path(asked))
    found = kept.latest(raw["judge"]["name"], earlier)
    if found is None:
        raise UserError(NO_EARLIER.format(folder=kept.folder))
    return found[0].name, found[1]


def _last(
    golden: Golden, rubric: Rubric, reference: str, folder: Workspace, options: JudgeOptions, count: int
) -> tuple[Path, dict[str, Any], int]:
    """A judge's last result on this golden set, its file, and how many results are earlier."""
    spec = build_judge(reference, rubric, folder, options).spec
    for at, (path, result) in reversed(list(enumerate(Results(folder.root).all()[:count]))):
        if JudgeSpec(**result["judge"]["spec"]) == spec and result["corpus"] == golden.manifest.corpus:
            return path, result, at
    raise UserError(f"--reuse: {folder.root} has no result of {reference} by this rubric: leave --reuse out to ask")
