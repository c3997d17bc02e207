"""One row as a container gives it and a format takes it, and the count of rows that were bad or repaired."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from efficient_empathy.dialogues.sample import Side
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.dialogues.turns.literals import parse_list
from efficient_empathy.dialogues.turns.roles import RoleTable
from efficient_empathy.foundation.errors import UserError

KEPT_BAD_ROWS = 1000
MOST_BAD_ROWS = 1_000_000
"""Bad rows that may follow each other: a packed file of a few kilobytes has hundreds of millions."""


class BadRowError(UserError):
    """A row that carries no sample, where bad rows are meant to stop the reading."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that carries no sample: where it stands (`file:line`) and why."""

    place: str
    reason: str


@dataclass(slots=True)
class Intake:
    """How rows are read, and what was dropped or repaired, so that nothing is lost in silence.

    `bad_rows` keeps the first 1,000; `bad_row_count` counts all. `repairs` counts, by kind, what was mended and kept.
    `unanswered` counts the conversations that end without a reply; with `open_ends`, each of them gives a sample whose
    response is empty, to be answered. `sides` says whether any row was of preference data.
    """

    settings: ReadingSettings = field(default_factory=ReadingSettings)
    roles: RoleTable = field(init=False)
    bad_row_count: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    open_ends: bool = False
    sides: bool = False
    bad_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.roles = RoleTable(self.settings.roles)

    def bad(self, place: str, reason: str) -> None:
        """Note a bad row; raises `BadRowError` unless bad rows are skipped, and where a million follow each other."""
        if self.settings.on_bad_row == "fail":
            raise BadRowError(
                f"{place}: {reason}. Mend the row, or pass --on-bad-row skip to count and leave out such rows."
            )
        self.bad_row_count += 1
        self.bad_in_a_row += 1
        if self.bad_in_a_row > MOST_BAD_ROWS:
            raise BadRowError(
                f"{place}: {reason}, and the {MOST_BAD_ROWS:,} rows before it are bad, too. Mend or remove them, or "
                "say with --format and --column what the file is."
            )
        if len(self.bad_rows) < KEPT_BAD_ROWS:
            self.bad_rows.append(BadRow(place, reason))

    def require_use(self) -> None:
        """Raise `UserError` for an option that no row had a use for: it says another thing than was meant."""
        if self.roles.unused:
            names = ", ".join(sorted(show_value(name) for name in self.roles.unused))
            seen = ", ".join(show_value(name) for name in self.roles.seen) or "none"
            raise UserError(f"--role maps {names}, but no turn has that role (roles met: {seen}): mend or leave it out")
        if self.settings.side is not None and not self.sides:
            raise UserError(
                f"--side {self.settings.side} chooses among replies, but no row has sides (`chosen` and `rejected`, or "
                "`label` true or false): leave it out"
            )

    def add(self, other: Intake) -> None:
        """Count what another one has counted of rows further on."""
        self.bad_row_count += other.bad_row_count
        self.bad_rows += other.bad_rows[: KEPT_BAD_ROWS - len(self.bad_rows)]
        self.repairs.update(other.repairs)
        self.unanswered += other.unanswered
        self.sides = self.sides or other.sides
        self.roles.unused &= other.roles.unused
        self.roles.seen |= other.roles.seen
        self.roles.labels |= other.roles.labels

    def clear(self) -> None:
        """Forget what was counted, before a new pass over the same rows."""
        self.bad_row_count = 0
        self.bad_rows.clear()
        self.repairs.clear()
        self.roles = RoleTable(self.settings.roles)
        self.unanswered, self.sides, self.bad_in_a_row = 0, False, 0


T = TypeVar("T")
P = TypeVar("P", bound="HasPlace")
MAX_TURN = 2**31 - 1
SPLITS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid"}
SPLITS |= {"dev": "valid", "test": "test", "testing": "test"}
CATEGORY_KEYS = ("category", "emotion", "emotion_type", "label")
DIALOGUE_KEYS = ("dialogue_id", "conv_id", "conversation_id", "id")
SIDE_KEYS = ("kto_tag", "label")
METADATA_KEYS = frozenset({*CATEGORY_KEYS, *DIALOGUE_KEYS, *SIDE_KEYS, "turn", "split", "source", "system", "lang"})
"""What may stand beside a dialogue and is no part of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: where it stands (`file:line`, or `file:row N` where a row is no line) and its values.

    `source` is the file's name; `split` is the one that its name tells, if any.
    """

    place: str
    values: dict[str, Any]
    source: str | None = None
    split: str | None = None


class HasPlace(Protocol):
    """What stands at a place: a row, or several."""

    @property
    def place(self) -> str:
        """Where it stands."""
        ...


class MalformedError(Exception):
    """A row's fault, in words that follow the row's place. It ends as a bad row of the intake, never further."""


class LeftOutError(Exception):
    """A row that is read as none, for a reason that is no fault; its words are what it is counted as."""


def each(rows: Iterable[P], intake: Intake, convert: Callable[[P], Iterable[T]]) -> Iterator[T]:
    """What `convert` makes of every row.

    A row that it finds malformed is noted as bad, one that it leaves out is counted; none of either is used.
    """
    for row in rows:
        try:
            results = list(convert(row))
        except LeftOutError as error:
            intake.repairs[str(error)] += 1
        except MalformedError as error:
            intake.bad(row.place, str(error))
        else:
            intake.bad_in_a_row = 0
            yield from results


def show_value(value: object) -> str:
    """A value in an error message: short, and printable whatever it holds."""
    return ascii(reprlib.repr(value) if not isinstance(value, str) else value[:40])


def clean(text: str) -> str:
    """`text` without the blanks around it; malformed if no file could carry it."""
    if "\0" in text:
        raise MalformedError("holds a NUL byte: remove it")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise MalformedError("holds half a surrogate pair (\\ud800 to \\udfff): mend or remove it") from None
    return text.strip()


def require_value(values: dict[str, Any], key: str) -> Any:
    """The value of `key`; malformed if it is missing or null."""
    value = values.get(key)
    if value is None:
        raise MalformedError(f"{key!r} is {'null' if key in values else 'missing'}")
    return value


def text_of(values: dict[str, Any], key: str) -> str:
    """The text at `key`, cleaned."""
    value = require_value(values, key)
    if not isinstance(value, str):
        raise MalformedError(f"{key!r} is {show_value(value)}, not text")
    return clean(value)


def has_instruction(values: dict[str, Any]) -> bool:
    """Whether a row says in words, at `instruction`, what its response answers."""
    instruction = values.get("instruction")
    return isinstance(instruction, str) and bool(instruction.strip())


def list_of(values: dict[str, Any], key: str) -> list[Any]:
    """The list at `key`, which may stand as text, of JSON or Python, as it does in a CSV cell."""
    value = require_value(values, key)
    items = parse_list(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        raise MalformedError(f"{key!r} is {show_value(value)}, not a list")
    return items


def objects_of(values: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects at `key`."""
    items = list_of(values, key)
    for item in items:
        if not isinstance(item, dict):
            raise MalformedError(f"{key!r} holds {show_value(item)}, not an object")
    return items


def holds_objects(values: dict[str, Any], key: str, inner: Iterable[tuple[str, str]]) -> bool:
    """Whether `key` holds a list whose first object has both keys of one of the `inner` pairs."""
    value = values.get(key)
    items = parse_list(value) if isinstance(value, str) else value
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return False
    return any(items[0].get(role) is not None and text in items[0] for role, text in inner)


def label_of(values: dict[str, Any], keys: Iterable[str]) -> str | None:
    """The first of `keys` that has a value, as text whatever its type; an empty one is none.

    A label never costs a dialogue: what no file could carry is left out of it.
    """
    for key in keys:
        value = values.get(key)
        if value is None or value in ("", [], {}) or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, str) and value.isascii() and "\0" not in value:
            return value.strip() or None
        text = value if isinstance(value, str) else _label_text(value)
        return text.replace("\0", "").encode(errors="ignore").decode().strip() or None
    return None


def _label_text(value: object) -> str:
    """A value as JSON, or as Python has it where JSON has none; a whole number as such, even if read as a fraction."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, bool | list | dict) else str(value)


def category_of(values: dict[str, Any], keys: Iterable[str] = CATEGORY_KEYS) -> str | None:
    """The category, as `label_of` reads it; a `label` that is true or false is a preference, see `side_of`."""
    is_flag = "label" in values and flag_of(values["label"]) is not None
    return label_of(values, [key for key in keys if key != "label"] if is_flag else keys)


def side_of(values: dict[str, Any]) -> Side | None:
    """Which side of preference data a row's one reply is, by `kto_tag` or `label`, true or false; None if neither."""
    for key in SIDE_KEYS:
        if key in values and (flag := flag_of(values[key])) is not None:
            return "chosen" if flag else "rejected"
    return None


def flag_of(value: object) -> bool | None:
    """What is true or false, in words too, as a CSV cell has it; None for all else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def turn_of(values: dict[str, Any], key: str = "turn") -> int | None:
    """The whole number at `key`, if there is one."""
    value = values.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TURN:
        raise MalformedError(f"{key!r} is {show_value(value)}, not a whole number from 0 on")
    return value


def split_of(row: Row) -> str | None:
    """The row's own split, or its file's; `val`, `dev` and the like are `valid`."""
    own = label_of(row.values, ["split"])
    return SPLITS.get(own.lower(), own) if own else row.split


def split_in_name(path: Path) -> str | None:
    """The split that a file's name tells: `valid` for `val_results.json`."""
    words = re.split(r"[^a-z]+", path.name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), None)
