"""What a worker was answered, line by line as it came: a process that is killed loses the calls in flight alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from efficient_empathy.foundation.errors import write_context
from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec

FOLDER = "cluster"
"""In the run: a folder of each worker, with a journal of each unit that it has begun and not finished."""
_JUDGEMENT = TypeAdapter(Judgement)


class Journal:
    """The judgements of one unit, appended to a file; the first line says whose they are."""

    def __init__(self, path: Path, spec: JudgeSpec) -> None:
        self._path = path
        with write_context(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._write(spec.model_dump_json() + "\n")

    def append(self, judgements: Sequence[Judgement]) -> None:
        """Keep judgements; when this returns, they survive the process."""
        self._write("".join(json.dumps(asdict(one), default=dict) + "\n" for one in judgements))

    def remove(self) -> None:
        """All of it is kept elsewhere."""
        os.close(self._handle)
        self._path.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        with write_context(self._path):
            content = memoryview(text.encode())
            while content:
                content = content[os.write(self._handle, content) :]


def journals(run: Path, unit: int | None = None) -> list[Path]:
    """What lies in a run of journals, or of those of one unit."""
    return sorted((run / FOLDER).glob(f"*/{'*' if unit is None else unit}.jsonl"))


def journal_name(unit: int) -> str:
    """The file of a unit's journal."""
    return f"{unit}.jsonl"


def read_journal(path: Path) -> tuple[JudgeSpec, list[Judgement]] | None:
    """Whose judgements a journal has, and these; None where not even that was written to its end.

    A line that was cut short is left out: its call was in flight.
    """
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        return JudgeSpec.model_validate_json(lines[0]), list(_judgements(lines[1:]))
    except (IndexError, ValidationError):
        return None


def _judgements(lines: Sequence[bytes]) -> Iterator[Judgement]:
    for line in lines:
        try:
            judgement = _JUDGEMENT.validate_json(line)
            yield replace(judgement, dependence=tuple(judgement.dependence))
        except ValidationError:
            continue
