"""The forms that a reply may have: JSON objects, lines of an evaluation form, tables. Each gives texts by axis.

What is read is `Readings`: for each axis the text of every value that is stated for it, in any of the forms. Whether a
text is a score, and whether they agree, is for the parser to say.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Readings = dict[str, list[str]]
"""By axis, the text of each value that a reply states."""

OPENING, CLOSING = "*_`\"'([{|", "*_`\"'.,;:!)]}|"
MOST_OBJECTS = 50
"""So many opening braces of a reply are looked at."""
LONGEST = 60
"""As many characters of a text that is no number are kept, for the reason."""
SCORE_WORDS = "score|rating|value|level"
"""What a score may be called beside its axis, as a pattern."""
_FIELDS = tuple(SCORE_WORDS.split("|"))
_NUMBER_WORD = re.compile(r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|half|minus)\b", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\|[^<>|]*\|>")
_CUT = re.compile(r"\d[./\s]*\Z")
_PLAIN = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_PLAIN |= (
    dict.fromkeys(map(ord, "“”„‟«»"), '"')
    | dict.fromkeys(map(ord, "‘’‚"), "'")
    | {0x3000: " ", 0x3002: ".", 0x2236: ":"}
)


class CutOffError(Exception):
    """The reply ends inside a number, within a JSON object that has no end."""


def ends_in_number(reply: str) -> bool:
    """Whether another digit could follow at the end of a reply: "1" may have been going to be 10."""
    return _CUT.search(reply[-LONGEST:]) is not None


def plain(reply: str) -> str:
    """The reply with full-width signs, curly quotes and the digits of any script as ASCII has them, place by place."""
    if reply.isascii():
        return reply
    text = reply.translate(_PLAIN)
    return re.sub(r"[^\x00-\x7f]", lambda sign: _digit(sign[0]), text)


def _digit(sign: str) -> str:
    digit = unicodedata.decimal(sign, None)
    return sign if digit is None else str(digit)


@lru_cache(maxsize=16)
def label_pattern(axes: tuple[str, ...]) -> re.Pattern[str]:
    """Matches an axis's name and the colon behind it; group 1 is the name."""
    names = "|".join(re.escape(axis).replace("_", "[ _]") for axis in sorted(axes, key=len, reverse=True))
    return re.compile(
        rf"(?<![A-Za-z])({names})(?:[ _](?:{SCORE_WORDS}))?[ \t*_`\"'”’]*(?:[(（][^()（）\n]*[)）][ \t*_`]*)?"
        r"[:=|：＝｜∶][ \t]*",
        re.IGNORECASE,
    )


def read_document(reply: str, axes: tuple[str, ...]) -> Readings | None:
    """The values of a reply that is one JSON document; None for any other."""
    text = reply.strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        document = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    readings: Readings = {}
    _walk(document, axes, readings)
    return readings


def read_text(text: str, axes: tuple[str, ...]) -> Readings:
    """The values that a text states in JSON objects, table columns and lines. Raises `CutOffError`."""
    readings: Readings = {}
    text = _take_objects(text, axes, readings)
    text = _take_objects(plain(text), axes, readings)
    if text.rfind("{") > text.rfind("}") and ends_in_number(text):
        raise CutOffError
    text = _take_tables(text, axes, readings)
    _read_lines(text, axes, readings)
    return readings


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object, a key that comes twice included."""

    pairs: list[tuple[str, Any]]

    def score(self) -> str | None:
        """The one value under a name such as score; None where there is none, or more than one."""
        values = [value for key, value in self.pairs if _key(key) in _FIELDS]
        return _value(values[0]) if len(values) == 1 and not isinstance(values[0], _Object | list) else None


class _Literal(str):
    """A number of JSON as it was written, so that 1e1 is not taken for 10."""

    __slots__ = ()


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal, strict=False
)


def _key(key: str) -> str:
    return re.sub(r"[\s_-]+", "_", key.strip().lower())


@lru_cache(maxsize=4096)
def _axis_of(key: str, axes: tuple[str, ...]) -> str | None:
    name = _key(key)
    return next((axis for axis in axes if name == axis or name in {f"{axis}_{word}" for word in _FIELDS}), None)


def _walk(content: Any, axes: tuple[str, ...], readings: Readings) -> None:
    """Collect what a JSON value states for each axis, at any depth."""
    if isinstance(content, list):
        for item in content:
            _walk(item, axes, readings)
    if not isinstance(content, _Object):
        return
    names = [value for _, value in content.pairs if isinstance(value, str) and _axis_of(value, axes)]
    if len(names) == 1 and (value := content.score()) is not None:  # {"criterion": "warmth", "score": 7}
        readings.setdefault(str(_axis_of(names[0], axes)), []).append(value)
    for key, value in content.pairs:
        axis = _axis_of(key, axes)
        if axis is None:
            _walk(value, axes, readings)
        else:
            score = value.score() if isinstance(value, _Object) else None
            readings.setdefault(axis, []).append(_value(value) if score is None else score)


def _value(value: Any) -> str:
    if isinstance(value, _Object):
        return "an object"
    if isinstance(value, str):
        return str(value)
    return "a list" if isinstance(value, list) else json.dumps(value)


def _take_objects(text: str, axes: tuple[str, ...], readings: Readings) -> str:
    """Read the JSON objects within a text that state a value; the text with them blanked out."""
    at = text.find("{")
    for _ in range(MOST_OBJECTS):
        if at < 0:
            break
        try:
            content, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        own: Readings = {}
        _walk(content, axes, own)
        if own:
            for axis, values in own.items():
                readings.setdefault(axis, []).extend(values)
            text = _blank(text, at, end)
        at = text.find("{", end)
    return text


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _take_tables(text: str, axes: tuple[str, ...], readings: Readings) -> str:
    """Read the tables whose head names axes side by side; the text with them blanked out."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        below = "".join(lines[i + 1 : i + 2])
        if not {"-"} <= {*below} <= {*"-|: \t\r"}:
            continue
        heads = [_axis_of(cell, axes) for cell in _cells(line)]
        if sum(head is not None for head in heads) < min(2, len(axes)):
            continue
        lines[i] = ""
        for k in range(i + 2, len(lines)):
            if "|" not in lines[k]:
                break
            for head, cell in zip(heads, _cells(lines[k]), strict=False):
                if head is not None:
                    readings.setdefault(head, []).append(cell)
            lines[k] = ""
    return "\n".join(lines)


def _cells(line: str) -> list[str]:
    """The cells of a table's row without emphasis; a name's scale in brackets is left out."""
    if "|" not in line:
        return []
    cells = line.strip().removeprefix("|").removesuffix("|").split("|")
    return [re.sub(r"\s*\([^()]*\)", "", cell).strip().strip("*_`").strip() for cell in cells]


def _read_lines(text: str, axes: tuple[str, ...], readings: Readings) -> None:
    """Read what stands behind an axis's name: on its line, in its cell, or in the next line.

    A line that holds no number is a remark on its axis, as long as a number stands elsewhere.
    """
    remarks: Readings = {}
    labels = list(label_pattern(axes).finditer(text))
    ends = [label.start() for label in labels[1:]] + [len(text)]
    for label, end in zip(labels, ends, strict=False):
        segment = text[label.end() : end].lstrip("*_` \t\r\n")
        line = segment.split("\n", 1)[0].strip()
        if label[0].rstrip().endswith("|"):
            line = line.split("|", 1)[0].strip()
        if line:
            is_value = any(map(str.isdigit, line)) or _NUMBER_WORD.match(line.lstrip(OPENING))
            (readings if is_value else remarks).setdefault(_key(label[1]), []).append(line)
    for axis, lines in remarks.items():
        readings.setdefault(axis, lines)


def numbers(value: str, top: int) -> Iterator[str]:
    """The numbers in the text of a value, "8/10" and "8 out of 10" as "8" where the scale ends at `top`.

    Words or a sign before the first number may turn it round: then the whole text is what comes out.
    """
    if value.isascii() and value.isdigit():
        yield value
        return
    value = _TAG.sub(" ", plain(value))
    value = re.sub(rf"(?<![\d.,])(\d+(?:\.0+)?)\s*\(?(?:/|out of|of)\s*{top}(?:\.0+)?(?![.,/]?\d)", r"\1", value)
    value = re.sub(r"(?<=\d)[分점](?![^\s,.;)|])", "", value).strip()
    words = [word.lstrip(OPENING).rstrip(CLOSING) for word in value.split() if any(map(str.isdigit, word))]
    if not words or not value.lstrip(OPENING + " \t").startswith(words[0]):
        words = [value]
    yield from (word[:LONGEST] for word in words)
