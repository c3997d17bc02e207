"""Results of prompt tests on disk: one JSON file each, with all that a later comparison needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import JsonValue

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part, Record
from efficient_empathy.foundation.statistics.measured import finite, six_decimals
from efficient_empathy.prompts.golden.records import Mismatch, RubricNote
from efficient_empathy.prompts.settings import Tolerances
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.selection.policies import RulePolicy

LATEST = "latest"
Number = float | None
Ends = tuple[Number, Number, Number]
"""A figure, and the two ends of its interval."""
Verdict = Literal["pass", "soft", "regression", "insufficient", "incomparable"]
_NAME = re.compile(r"^(\d{4,})-.*\.json$")


class GoldenNote(Part):
    """The golden set that was judged."""

    name: str
    corpus: str
    items: int


class JudgeNote(Part):
    """Who judged: its name, the reference it was named by, and the spec of its first round."""

    name: str
    reference: str
    spec: JudgeSpec


class Reading(Part):
    """One judgement of an item; its state is None where there is none, its scores where it is not ok."""

    state: str | None
    scores: dict[str, float] | None = None
    reason: str = ""


class ItemRounds(Part):
    """The judgements of one item, round by round."""

    id: str
    dialogue_id: str
    category: str | None
    rounds: tuple[Reading, ...]


class Usage(Part):
    """What the judgements took, failed attempts included."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Answers(Record):
    """A judge's answers to a golden set."""

    PLACE: ClassVar[str] = "results/*.json of a test of prompts"
    REMEDY = "`efficient-empathy prompts test`"

    created_at: float
    versions: dict[str, str]
    golden: GoldenNote
    corpus: str
    rubric: RubricNote
    judge: JudgeNote
    decoding: dict[str, JsonValue] | None
    parser: str | None
    repeats: int
    rounds: tuple[int, ...]
    """Their numbers in the ledger."""
    states: dict[str, int]
    reasons: dict[str, int]
    """The most frequent reasons of failure."""
    usage: Usage
    seconds: float
    items: tuple[ItemRounds, ...]


class BaselineNote(Part):
    """What a test is held against."""

    name: str
    kind: Literal["result", "expectations"]


class Flow(Part):
    """How many items went from one subset (or some that were as usual) to another."""

    before: str
    now: str
    items: int


class SubsetChanges(Part):
    """How many items change subset; see `figures.changes`."""

    items: int
    changed: int
    share: Ends
    one_scoring: Ends
    by_noise: Ends
    flows: tuple[Flow, ...]
    changed_items: tuple[str, ...]


class CheckRecord(Part):
    """One check of a verdict; see `stage.decide`."""

    name: Literal["shift", "noise", "subsets", "failures"]
    axis: str | None
    value: Number
    low: Number
    high: Number
    p: Number
    p_holm: Number
    resolution: Number
    tolerance: float
    items: int
    verdict: Verdict
    items_needed: int | None
    note: str


class TestRecord(Answers):
    """A judge's answers with their figures and the verdict."""

    __test__ = False

    policy: RulePolicy | None
    """The policy whose subsets are watched."""
    seed: int
    figures: dict[str, dict[str, Ends]]
    """By axis, against the expectations."""
    repeatability: dict[str, dict[str, Ends]]
    """By axis, how much the judge repeats itself."""
    baseline: BaselineNote
    changes: SubsetChanges | None
    against_baseline: dict[str, dict[str, Ends]] | None
    verdict: Verdict
    exit_code: int
    checks: tuple[CheckRecord, ...]
    items_needed: int | None
    """How many items it would take for a verdict; None where more would not help."""
    tolerances: Tolerances
    mismatches: tuple[Mismatch, ...] = ()
    """What keeps it from being compared."""

    @classmethod
    def of(cls, **fields: Any) -> TestRecord:
        """A record of these fields, floats with six decimals, null for what is not finite."""
        return cls.model_validate(finite(fields, six_decimals))


class Results:
    """The numbered results in a test's folder, the oldest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "results"

    def paths(self) -> list[Path]:
        """Their files, in order."""
        files = self.folder.glob("*.json") if self.folder.is_dir() else ()
        return sorted((path for path in files if _NAME.match(path.name)), key=_number)

    def all(self) -> list[tuple[Path, TestRecord]]:
        """Their files and contents. Raises `UserError` for a file that is none."""
        return [(path, read_result(path)) for path in self.paths()]

    def write(self, result: TestRecord) -> Path:
        """Write a result under the next number; returns its file."""
        paths = self.paths()
        number = _number(paths[-1]) + 1 if paths else 1
        path = self.folder / f"{number:04d}-{slug(result.judge.name)}.json"
        result.write(path)
        return path

    def latest(self, judge: str, at_most: int) -> tuple[Path, TestRecord] | None:
        """The last of the first `at_most` results: of this judge if there is one, else of any."""
        results = self.all()[:at_most]
        same = [one for one in results if one[1].judge.name == judge]
        return (same or results)[-1] if results else None


def read_result(path: Path) -> TestRecord:
    """A result that `prompts test` wrote. Raises `UserError` for what is none."""
    try:
        return TestRecord.read(path)
    except UserError as error:
        raise UserError(f"no result of `prompts test`: {error}") from error


def slug(name: str) -> str:
    """A judge's name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "judge"


def _number(path: Path) -> int:
    match = _NAME.match(path.name)
    return int(match[1]) if match else 0
