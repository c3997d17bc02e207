from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import Intake, Sample
from efficient_empathy.dialogues.formats import find_reader
from efficient_empathy.dialogues.rows import Row
from efficient_empathy.dialogues.settings import ReadingSettings

Convert = Callable[..., tuple[list[Sample], Intake]]
Write = Callable[..., Path]


@pytest.fixture
def convert() -> Convert:
    """Read rows as one format; bad rows are kept in the intake that comes with the samples."""

    def run(format_name: str, *rows: dict[str, Any]) -> tuple[list[Sample], Intake]:
        intake = Intake(ReadingSettings(on_bad_row="skip"))
        numbered = [Row(f"file:{number}", values, "file", None) for number, values in enumerate(rows, 1)]
        return list(find_reader(format_name).samples(numbered, intake)), intake

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file: bytes and text as they are, a list as JSON lines; gzip if the name says so."""

    def run(name: str, content: bytes | str | list[Any]) -> Path:
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        if isinstance(content, str):
            content = content.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return run
