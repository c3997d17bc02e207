"""Golden sets: samples with the scores that a judge is expected to give them, in a folder of two files.

`items.jsonl` has one item a line, and every fault in it is reported by file and line; `manifest.json` says, by hash,
what the expectations came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.dialogues.containers.json_file import line_value
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.settings import describe_unknown
from efficient_empathy.prompts.golden.records import GoldenManifest, Origin, RubricNote
from efficient_empathy.scoring.rubric import Rubric

Scale = tuple[int, int]
KEYS = ("id", "dialogue_id", "turn", "context", "response", "category", "expected", "weight", "note")
FORM = "a number, or [lowest, highest]"


class LineError(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True)
class Line:
    """What one line holds."""

    sample: Sample
    expected: dict[str, tuple[float, float]]
    weight: float
    note: str | None


@dataclass
class Lines:
    """The lines of a file that are in order, and the problems of the others."""

    rows: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_lines(path: Path, scales: Mapping[str, Scale], *, fill: bool = False) -> Lines:
    """Read every line; `scales` are those that expectations have to lie on. With `fill` an id may be missing.

    Raises `UserError` where the file cannot be read at all.
    """
    lines, first_at = Lines(), dict[str, int]()
    try:
        content = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    for number, raw in enumerate(content, 1):
        if not raw.strip():
            continue
        try:
            row = _line(raw, scales, fill)
            if row.sample.id in first_at:
                raise LineError(f"the item stands in line {first_at[row.sample.id]} already: leave one of them out")
            first_at[row.sample.id] = number
            lines.rows.append(row)
        except LineError as fault:
            lines.problems.append(f"{path}:{number}: {fault}")
    if not lines.rows and not lines.problems:
        lines.problems.append(f"{path} holds no item: write one JSON object a line")
    return lines


def _line(raw: bytes, scales: Mapping[str, Scale], fill: bool) -> Line:
    value, fault = line_value(raw)
    if fault:
        raise LineError(fault)
    if not isinstance(value, dict):
        raise LineError(f"an item is a JSON object, not a {type(value).__name__}")
    for key in value:
        if key not in KEYS:
            raise LineError(describe_unknown(key, KEYS))
    sample = _sample(value)
    own_id = value.get("id")
    if own_id is None and not fill:
        raise LineError("it has no id (`prompts golden --check FOLDER --write` fills it in)")
    if own_id is not None and own_id != sample.id:
        raise LineError(
            f"the id {own_id!r} is not that of its text, which is {sample.id}: a changed text is another item, whose "
            "expected scores may be others"
        )
    weight = value.get("weight", 1.0)
    if not _is_number(weight) or not weight > 0:
        raise LineError(f"weight is {weight!r}: it must be a number above 0")
    note = value.get("note")
    if note is not None and not isinstance(note, str):
        raise LineError(f"note is {note!r}: it must be text")
    return Line(sample, _ranges(value.get("expected"), scales), float(weight), note)


def _sample(value: Mapping[str, Any]) -> Sample:
    turns = value.get("context")
    if not isinstance(turns, list) or not turns:
        raise LineError('context must be a list of turns, such as [{"role": "speaker", "text": "…"}]')
    context = [_turn(turn) for turn in turns]
    if context[-1].role != "speaker":
        raise LineError("the context must end with a turn of the speaker, which the response answers")
    response = value.get("response")
    if not isinstance(response, str) or not response:
        raise LineError("response must be the listener's text")
    for key in ("dialogue_id", "category"):
        if value.get(key) is not None and not isinstance(value[key], str):
            raise LineError(f"{key} is {value[key]!r}: it must be text")
    turn = value.get("turn")
    if turn is not None and (isinstance(turn, bool) or not isinstance(turn, int)):
        raise LineError(f"turn is {turn!r}: it must be a whole number")
    sample = Sample.of(context, response, category=value.get("category"), source="golden")
    fields = {key: value[key] for key in ("dialogue_id", "turn") if value.get(key) is not None}
    return replace(sample, **fields)


def _turn(turn: Any) -> Utterance:
    fields = turn if isinstance(turn, dict) else {}
    role, text = fields.get("role"), fields.get("text")
    if role not in ("speaker", "listener") or not isinstance(text, str) or not text:
        raise LineError(f"{turn!r} is no turn: it needs the role speaker or listener, and a text"[:300])
    return Utterance(role, text)


def _ranges(value: Any, scales: Mapping[str, Scale]) -> dict[str, tuple[float, float]]:
    if not isinstance(value, dict) or not value:
        raise LineError(f"it has no expected scores: name each axis ({', '.join(scales)}) with {FORM}")
    for axis in value:
        if axis not in scales:
            raise LineError(f"it expects a score for {axis!r}, and the rubric's axes are {', '.join(scales)}")
    missing = [axis for axis in scales if axis not in value]
    if missing:
        raise LineError(f"it has no expected score for {', '.join(missing)}")
    return {axis: _range(axis, value[axis], scale) for axis, scale in scales.items()}


def _range(axis: str, value: Any, scale: Scale) -> tuple[float, float]:
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or not all(_is_number(end) for end in ends):
        raise LineError(f"the expected {axis} is {value!r}: write {FORM}")
    low, high = ends
    if low > high:
        raise LineError(f"the expected {axis} is {value!r}, whose lowest is above its highest")
    if low < scale[0] or high > scale[1]:
        raise LineError(f"the expected {axis} is {value!r}, outside the scale {scale[0]}–{scale[1]}")
    return float(low), float(high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


ITEMS, MANIFEST = "items.jsonl", "manifest.json"
BUNDLED = Path(str(files("efficient_empathy") / "assets" / "golden"))
LONGEST_LIST = 20


@dataclass(frozen=True)
class GoldenItem:
    """A sample, and by axis the range that its score is expected in, both ends included."""

    sample: Sample
    expected: Mapping[str, tuple[float, float]]
    weight: float = 1.0
    """How many of the samples that the set was drawn from it stands for, relative to the other items."""
    note: str | None = None

    def row(self) -> dict[str, Any]:
        """The item as a line of `items.jsonl`."""
        sample = self.sample
        row: dict[str, Any] = {
            "id": sample.id,
            "dialogue_id": sample.dialogue_id,
            "turn": sample.turn,
            "context": [{"role": turn.role, "text": turn.text} for turn in sample.context],
            "response": sample.response,
            "category": sample.category,
            "expected": {axis: _plain(*ends) for axis, ends in self.expected.items()},
        }
        if self.weight != 1:
            row["weight"] = self.weight
        return row | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Golden:
    """A golden set that has been read and found to be in order."""

    items: tuple[GoldenItem, ...]
    manifest: GoldenManifest

    @property
    def name(self) -> str:
        """What it is called."""
        return self.manifest.name

    @property
    def samples(self) -> list[Sample]:
        """What a judge is asked about, in order."""
        return [item.sample for item in self.items]

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that there are expectations on."""
        return tuple(self.items[0].expected)

    @property
    def scales(self) -> dict[str, Scale]:
        """The axes with their scales, as policies take them."""
        return scales_of(None, self.manifest)

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """What each item counts for, (items,); their mean is 1."""
        weights = np.array([item.weight for item in self.items])
        numbers: npt.NDArray[np.float64] = weights / weights.mean()
        return numbers


def corpus_hash(ids: Sequence[str]) -> str:
    """SHA-256 over the items' ids in order, a line each; first 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def read_golden(folder: Path | str, rubric: Rubric | None = None) -> Golden:
    """The golden set in `folder`, or the one in the package for the word `bundled`.

    Every expectation has to lie on the scales of `rubric` and cover its axes; without one, those of the manifest's, or
    of the bundled rubric. Raises `UserError` that names file and line.
    """
    place = golden_folder(folder)
    problems, golden = look_at(place, rubric)
    if golden is None:
        more = len(problems) - 1
        others = f" (and {more:,} more: `efficient-empathy prompts golden --check {place}` lists them)" if more else ""
        raise UserError(f"{problems[0]}{others}")
    return golden


def golden_folder(folder: Path | str) -> Path:
    """Where a golden set lies; `bundled` names the package's own. Raises `UserError` where there is no such folder."""
    place = BUNDLED if str(folder) == "bundled" else Path(folder)
    if not (place / ITEMS).is_file():
        raise UserError(
            f"{place} holds no golden set ({ITEMS} is missing): "
            f"`efficient-empathy prompts golden --run RUN -n 200 -o {folder}` makes one"
        )
    return place


def look_at(folder: Path, rubric: Rubric | None = None) -> tuple[list[str], Golden | None]:
    """Every problem of a golden set, one sentence each, and the set itself where there is none. Raises `UserError`
    for a manifest that cannot be read."""
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        remedy = f"`efficient-empathy prompts golden --check {folder} --write` writes it from {ITEMS}"
        return [f"{manifest_path} is missing: {remedy}"], None
    manifest = GoldenManifest.read(manifest_path)
    lines = read_lines(folder / ITEMS, scales_of(rubric, manifest))
    problems = [*lines.problems, *([] if lines.problems else _misfits(manifest_path, manifest, lines))]
    if problems:
        return problems, None
    if manifest.policy is not None:
        try:
            manifest.policy.require_axes(scales_of(rubric, manifest))
        except UserError as error:
            return [f"{manifest_path}: {error}"], None
    return [], Golden(_items(lines), manifest)


def seal(folder: Path, rubric: Rubric | None = None) -> Golden:
    """Write a hand-made set anew: ids that are missing are filled in, and the manifest is made or made to fit.

    What a manifest already says of its origin is kept. Raises `UserError` for the first line that is not in order.
    """
    path = folder / MANIFEST
    manifest = GoldenManifest.read_if_there(path)
    lines = read_lines(golden_folder(folder) / ITEMS, scales_of(rubric, manifest), fill=True)
    if lines.problems:
        raise UserError(lines.problems[0])
    rubric = rubric or (Rubric.load() if manifest is None else None)
    origin = manifest or GoldenManifest(name=folder.resolve().name, items=0, corpus="", origin=Origin(by="hand"))
    if rubric is not None:
        origin = origin.model_copy(update={"rubric": RubricNote.of(rubric)})
    return write_golden(folder, _items(lines), origin)


def write_golden(folder: Path, items: Sequence[GoldenItem], origin: GoldenManifest) -> Golden:
    """Write a golden set; `origin` is its manifest, whose `items` and `corpus` are made to fit. Raises `UserError`."""
    corpus = corpus_hash([item.sample.id for item in items])
    manifest = origin.model_copy(update={"items": len(items), "corpus": corpus})
    with atomic(folder / ITEMS) as path:
        path.write_text("".join(json.dumps(i.row(), ensure_ascii=False) + "\n" for i in items), "utf-8")
    manifest.write(folder / MANIFEST)
    return Golden(tuple(items), manifest)


def scales_of(rubric: Rubric | None, manifest: GoldenManifest | None) -> dict[str, Scale]:
    """The scales that expectations have to lie on."""
    if rubric is None and manifest is not None and manifest.rubric is not None:
        return dict(manifest.rubric.axes)
    return (rubric or Rubric.load()).scales


def _misfits(path: Path, manifest: GoldenManifest, lines: Lines) -> list[str]:
    """Where a manifest is of other items than those beside it."""
    mend = f"restore {ITEMS}, or let `prompts golden --check {path.parent} --write` make a set of its own of it"
    if manifest.items != len(lines.rows):
        return [f"{path} is of {manifest.items:,} items, and {ITEMS} has {len(lines.rows):,}: {mend}"]
    corpus = corpus_hash([row.sample.id for row in lines.rows])
    if manifest.corpus != corpus:
        return [f"{path} is of other items than {ITEMS} has (corpus {manifest.corpus}, not {corpus}): {mend}"]
    return []


def _items(lines: Lines) -> tuple[GoldenItem, ...]:
    return tuple(GoldenItem(row.sample, row.expected, row.weight, row.note) for row in lines.rows)


def _plain(low: float, high: float) -> float | list[float]:
    """A range as it is written: a number where both ends are the same."""
    ends = [int(end) if float(end).is_integer() else end for end in (low, high)]
    return ends[0] if low == high else ends
