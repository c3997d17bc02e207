"""The lines of a golden set's `items.jsonl`: read, and every fault named by file and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.dialogues.containers.json_file import line_value
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import unknown

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
            raise LineError(unknown(key, KEYS))
    sample = _sample(value)
    stated = value.get("id")
    if stated is None and not fill:
        raise LineError("it has no id (`prompts golden --check FOLDER --write` fills it in)")
    if stated is not None and stated != sample.id:
        raise LineError(
            f"the id {stated!r} is not that of its text, which is {sample.id}: a changed text is another item, whose "
            "expected scores may be others"
        )
    weight = value.get("weight", 1.0)
    if not _is_number(weight) or not weight > 0:
        raise LineError(f"weight is {weight!r}: it must be a number above 0")
    note = value.get("note")
    if note is not None and not isinstance(note, str):
        raise LineError(f"note is {note!r}: it must be text")
    return Line(sample, _expected(value.get("expected"), scales), float(weight), note)


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
    known = {key: value[key] for key in ("dialogue_id", "turn") if value.get(key) is not None}
    return replace(sample, **known)


def _turn(turn: Any) -> Utterance:
    fields = turn if isinstance(turn, dict) else {}
    role, text = fields.get("role"), fields.get("text")
    if role not in ("speaker", "listener") or not isinstance(text, str) or not text:
        raise LineError(f"{turn!r} is no turn: it needs the role speaker or listener, and a text"[:300])
    return Utterance(role, text)


def _expected(value: Any, scales: Mapping[str, Scale]) -> dict[str, tuple[float, float]]:
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
