"""What a rating writes: the key of its sheets, `ratings/key.json`, and what came of them, `ratings/results.json`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Interval, Number, Part, Record, StageRecord

NAME, RESULTS, RATINGS = "key.json", "results.json", "ratings.parquet"


class Item(Part):
    """One row of one rater's sheet."""

    task: Task
    sample_id: str
    sides: list[list[str]]
    """The models whose response is shown: one list for a rating, the left and the right one for a comparison. Models
    that gave the same response share a list."""
    repeat_of: str | None = None
    """The item of the same sheet that this one repeats, for self-consistency."""
    text: str
    """`fingerprint` of what the row shows."""


class SheetKey(Part):
    """One rater's sheet: the files it was written to, the hash of what it shows, its items in their order."""

    rater: str
    files: list[str]
    sha256: str
    items: dict[str, Item]


class Identical(Part):
    """Two models that gave one and the same response to a sample: a tie that nobody is asked about."""

    sample_id: str
    a: str
    b: str


class Key(Record):
    """`ratings/key.json`: it stays in the run's folder; whoever has it is not blind."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "ratings/key.json"
    REMEDY: ClassVar[str] = "`efficient-empathy ratings sheets` with the same options"

    seed: int
    secret: str = ""
    """What orders, sides, repeats and ids were drawn with; empty where the seed alone decided them, as it once did."""
    models: list[str]
    questions: list[str]
    """The columns of a comparison."""
    dialogues: dict[str, str]
    """The dialogue of every sample that is rated."""
    identical: list[Identical]
    sheets: list[SheetKey]

    def is_at(self, folder: Path) -> bool:
        """Whether `key.json` in a folder is this one."""
        path = folder / NAME
        return path.exists() and path.read_bytes() == self.json_text().encode()

    def find(self, item: str) -> tuple[SheetKey, Item] | None:
        """The sheet that has an item, and the item."""
        return next(((sheet, sheet.items[item]) for sheet in self.sheets if item in sheet.items), None)


def fingerprint(texts: list[str]) -> str:
    """What a row's texts are known by, whatever a spreadsheet's encoding did to accents, quotes and line ends."""
    letters = re.sub(r"[^a-z0-9]", "", "".join(texts).lower())
    return hashlib.sha256(letters.encode()).hexdigest()[:12]


def write_key(key: Key, folder: Path, *, force: bool = False) -> Path:
    """Write `key.json`, readable by its owner alone.

    Without `force` a key with another content is left as it is: sheets that were handed out are worth nothing without
    theirs. With it, that one is kept as `key-1.json` (2, 3 …). Raises `UserError`.
    """
    path = folder / NAME
    if path.exists() and not key.is_at(folder):
        if not force:
            raise UserError(
                f"{path} belongs to other sheets, which could not be read back without it: read those first, then use "
                "--force to make new ones"
            )
        earlier = sum(1 for _ in folder.glob("key-*.json"))
        path.rename(folder / f"key-{earlier + 1}.json")
    with atomic(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(key.json_text(), "utf-8")
    return path


class SheetsRecord(StageRecord):
    """The stage `ratings:sheets`."""

    STAGE: ClassVar[str] = "ratings:sheets"
    REMEDY: ClassVar[str] = Key.REMEDY

    inputs: dict[str, str]
    """SHA-256 by path of the samples and the responses that are rated."""
    models: tuple[str, ...]
    raters: tuple[str, ...]


class RatingsStageRecord(StageRecord):
    """The stage `ratings`: people's answers, of sheets or of the studio, and what they come to."""

    STAGE: ClassVar[str] = "ratings"
    REMEDY: ClassVar[str] = "`efficient-empathy ratings read`"

    sheets: tuple[str, ...]
    """What was read."""
    samples: int


class Consistency(Part):
    """How a rater answered what was asked twice."""

    answers: int
    exact: Number
    """The share of equal answers."""
    mean_absolute_difference: Number


class RaterSummary(Part):
    """One person: how much of their sheet was rated, and how often hidden repeats got the same answer."""

    name: str
    rated_items: int
    item_count: int
    """Items on their sheet."""
    self_consistency: Number
    repeated: dict[Task, Consistency] = Field(default_factory=dict)
    left_share: Number = None
    """Of comparisons with a preference, the share for the left response."""


class RatedModel(Part):
    """One model's mean rating on one dimension, 1 to 5."""

    name: str
    mean: Number
    interval: Interval
    n: int
    fleiss_kappa: Number = None


class RaterAgreement(Part):
    """How far raters agree, by several coefficients, with their intervals by name; none of a single rater."""

    fleiss_kappa: Number = None
    weighted_kappa: Number = None
    weighted_kappa_linear: Number = None
    alpha_nominal: Number = None
    alpha_ordinal: Number = None
    alpha_interval: Number = None
    intervals: dict[str, Interval] = Field(default_factory=dict)
    items: int
    raters: int
    notes: tuple[str, ...] = ()


class RatedDimension(Part):
    """One dimension: models' means, and how far raters agree on it."""

    models: tuple[RatedModel, ...]
    agreement: RaterAgreement


class Contest(Part):
    """Two models side by side: how often people preferred `a`, neither, or `b`.

    `share` counts a tie as half, `interval` is its own; p is that of a sign test, `p_holm` corrected for the others.
    """

    question: str
    a: str
    b: str
    win: int = Field(ge=0)
    tie: int = Field(ge=0)
    lose: int = Field(ge=0)
    identical: int = 0
    """Samples to which both gave the same response: each is a tie of every rater."""
    share: Number
    interval: Interval
    p: Number
    p_holm: Number
    fleiss_kappa: Number = None


class RankedModel(Part):
    """A model's log-strength by Bradley and Terry's model of the contests, 0 on average."""

    question: str
    name: str
    strength: Number
    interval: Interval


class Comment(Part):
    """What a rater remarked on an item, and whose responses it showed."""

    rater: str
    item: str
    sample_id: str
    models: tuple[tuple[str, ...], ...]
    text: str


class RatingsRecord(Record):
    """`ratings/results.json`; docs/ratings.md says what each number is."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "ratings/results.json"
    REMEDY: ClassVar[str] = "`efficient-empathy ratings read`"

    sheets: tuple[str, ...]
    raters: tuple[RaterSummary, ...]
    samples: int
    likert: dict[str, RatedDimension]
    ab: tuple[Contest, ...]
    ab_agreement: dict[str, RaterAgreement]
    ranking: tuple[RankedModel, ...]
    comments: tuple[Comment, ...] = ()
    problems: tuple[str, ...] = ()
    resamples: int = 0
    seed: int = 0
    confidence: float = Field(default=0.95, gt=0, lt=1)
