"""Typed records: written and read by one class, refused in one sentence when they are of another version or broken."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part, Record


class Point(Part):
    x: float | None = None


class Sketch(Record):
    VERSION: ClassVar[int] = 3
    REMEDY: ClassVar[str] = "`efficient-empathy sketch`"

    name: str
    points: tuple[Point, ...] = ()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "sketch.json"
    sketch = Sketch(name="Ünïcode", points=(Point(x=1.5),))
    sketch.write(path)
    assert json.loads(path.read_text("utf-8")) == {"version": 3, "name": "Ünïcode", "points": [{"x": 1.5}]}
    assert Sketch.read(path) == sketch
    assert "Ünïcode" in path.read_text("utf-8")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_null(tmp_path: Path, value: float) -> None:
    Sketch(name="a", points=(Point(x=value),)).write(tmp_path / "sketch.json")
    assert Sketch.read(tmp_path / "sketch.json").points[0].x is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"version": 2, "name": "a"}', r"version 2 and .* version 3\): run `efficient-empathy sketch`"),
        ('{"version": 3, "name": "a", "colour": "red"}', "colour"),
        ('{"name": "a"}', "version None"),
        ('{"version": 3}', "name: Field required"),
        ('{"version": 3, "name": "a", "points": [{"x": "far"}]}', r"points\.0\.x"),
        ("{", "Invalid JSON"),
        ("[]", "Input should be"),
    ],
)
def test_what_it_cannot_be_is_refused_with_place_and_remedy(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "sketch.json"
    path.write_text(content, "utf-8")
    with pytest.raises(UserError, match=said) as error:
        Sketch.read(path)
    assert str(path) in str(error.value)


def test_a_missing_record_is_none_or_told(tmp_path: Path) -> None:
    assert Sketch.read_if_there(tmp_path / "sketch.json") is None
    with pytest.raises(UserError, match="No such file"):
        Sketch.read(tmp_path / "sketch.json")


def test_a_record_is_not_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        Sketch(name="a").name = "b"
