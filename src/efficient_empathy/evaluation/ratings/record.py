"""What a study writes in its folder `ratings/NAME`: the key of its sheets, and what came of them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from efficient_empathy.evaluation.ratings.questions import Questionnaire, Task
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Interval, Number, Part, Record, StageRecord
from efficient_empathy.foundation.run.workspace import Workspace

RATER = re.compile(r"[\w-]+(?: [\w-]+)*")
"""What a rater may be called: a sheet is named after them."""
NAME, RESULTS, RATINGS = "key.json", "results.json", "ratings.parquet"


def study_folder(workspace: Workspace, study: str) -> Path:
    """The folder of a study in a run. Raises `UserError` for a name that no folder can have."""
    if not re.fullmatch(r"[^\W_][\w -]{0,58}[\w-]|[^\W_]", study):
        raise UserError(f"a study cannot be called {study!r}: take up to 60 letters, digits, blanks, - and _")
    return workspace.ratings / study


def study_names(workspace: Workspace) -> list[str]:
    """The studies that have a key, answers or results in a run's folder."""
    return sorted(
        {path.parent.name for file in (NAME, RATINGS, RESULTS) for path in workspace.ratings.glob(f"*/{file}")}
    )


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
    raters: tuple[str, ...]
    """Who got the sample: it is one tie for each of them."""


class Key(Record):
    """`ratings/NAME/key.json`: it stays in the run's folder; whoever has it is not blind."""

    VERSION: ClassVar[int] = 3
    PLACE: ClassVar[str] = "ratings/NAME/key.json"
    REMEDY: ClassVar[str] = "`efficient-empathy ratings sheets` with the same options"

    study: str
    """The study's name, and that of its folder."""
    seed: int
    secret: str = ""
    """What orders, sides, repeats and ids were drawn with; empty where the seed alone decided them, as it once did."""
    models: list[str]
    questionnaire: Questionnaire
    """What raters read and are asked."""
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
                f"{path} belongs to other sheets, which could not be read back without it: take another name with "
                "--study, or read those first, then use --force to make new ones"
            )
        earlier = sum(1 for _ in folder.glob("key-*.json"))
        path.rename(folder / f"key-{earlier + 1}.json")
    with atomic(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(key.json_text(), "utf-8")
    return path


class SheetsRecord(StageRecord):
    """The stage `sheets:NAME` of a study."""

    STAGE: ClassVar[str] = "sheets"
    REMEDY: ClassVar[str] = Key.REMEDY

    inputs: dict[str, str]
    """SHA-256 by path of the samples and the responses that are rated."""
    models: tuple[str, ...]
    raters: tuple[str, ...]


class RatingsStageRecord(StageRecord):
    """The stage `ratings:NAME` of a study: people's answers, of sheets or of the studio, and what they come to."""

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
    """One person: how much of their sheet was rated, how often hidden repeats got the same answer, and how fast."""

    name: str
    rated_items: int
    item_count: int
    """Items on their sheet."""
    self_consistency: Number
    repeated: dict[Task, Consistency] = Field(default_factory=dict)
    left_share: Number = None
    """Of comparisons with a preference, the share for the left response."""
    seconds: Number = None
    """The median of a task in the browser, from its showing to its last answer; none of sheets."""


class RatedModel(Part):
    """One model's mean rating on one question."""

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
    """One question on a scale: models' means, and how far raters agree on it."""

    text: str
    """What raters read."""
    scale: tuple[int, int]
    """The lowest and the highest number that they could give."""
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
    """`ratings/NAME/results.json`; docs/ratings.md says what each number is."""

    VERSION: ClassVar[int] = 3
    PLACE: ClassVar[str] = "ratings/NAME/results.json"
    REMEDY: ClassVar[str] = "`efficient-empathy ratings read`"

    study: str
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
