"""What a reader thought of single responses and judgements: a vote, tags and a note each, beside the run's ratings.

Each change is a line, on the disk when it is acknowledged; the last line on a sample and whose it is counts.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.server.bodies import Body

NAME = "reading.jsonl"
Vote = Literal["", "good", "bad"]


class MarkBody(Body):
    """What a reader says of one response, or of what a judge gave one sample."""

    sample_id: Annotated[str, Field(max_length=200)]
    responder: Annotated[str, Field(max_length=200)]
    """The model's name in the run, reference, or judge: and the judge's name."""
    vote: Vote = ""
    tags: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], Field(max_length=20)] = ()
    note: Annotated[str, Field(max_length=2000)] = ""


class Mark(Part):
    """One line of the file."""

    sample_id: str
    responder: str
    vote: Vote = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    at: float
    """Unix seconds."""


Key = tuple[str, str]
"""Sample and responder."""


def read_marks(workspace: Workspace) -> dict[Key, Mark]:
    """The marks that stand; a line that a power cut left unfinished was never acknowledged. Raises `UserError`."""
    path = workspace.ratings / NAME
    marks: dict[Key, Mark] = {}
    if not path.is_file():
        return marks
    with error_context(f"read {path}"):
        lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
        except ValueError:
            continue
        try:
            mark = Mark.model_validate(content)
        except ValidationError as error:
            raise UserError(f"{path}, line {number}, is no mark of a reader: put an earlier copy back") from error
        marks[mark.sample_id, mark.responder] = mark
    return {key: mark for key, mark in marks.items() if mark.vote or mark.tags or mark.note}


def add_mark(workspace: Workspace, body: MarkBody) -> None:
    """Keep a mark; on the disk when this returns. One that says nothing takes back what was said."""
    path = workspace.ratings / NAME
    line = json.dumps({**body.model_dump(mode="json"), "at": time.time()}, ensure_ascii=False)
    with error_context(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, (b"\n" if is_cut else b"") + line.encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def tally(marks: Mapping[Key, Mark]) -> dict[str, Counter[str]]:
    """Of each responder how many votes of each kind."""
    counts: dict[str, Counter[str]] = {}
    for (_, responder), mark in marks.items():
        if mark.vote:
            counts.setdefault(responder, Counter())[mark.vote] += 1
    return counts
