"""What killed commands left in a run's folder, and how it goes away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.run.files import is_leftover
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity.record import Problem

_WORK = re.compile(r"\.(.+)\.(?:work|old)|\.(routers)")
_JOURNAL = re.compile(r"\.(.+)\.partial\.jsonl")
DELETE = "delete it"


def leftovers(workspace: Workspace) -> Iterator[Problem]:
    """Temporary files whose process has ended, and work that a command goes on from."""
    for path in (*sorted(workspace.root.rglob(".*")), *sorted(workspace.root.glob("cluster/*/*.jsonl"))):
        if leftover := _leftover(workspace, path):
            stage, fault, remedy = leftover
            place = path.relative_to(workspace.root).as_posix()
            yield Problem(stage=stage, path=place, fault=fault, remedy=remedy)


def _leftover(workspace: Workspace, path: Path) -> tuple[str, str, str] | None:
    """Of what stage it is, what it is, and what to do about it; None for what is no leftover."""
    run = f"--run {shell(workspace.root)}"
    if is_leftover(path):
        return "", "is left over from a write that was killed", DELETE
    if path.name.startswith(".sheets-") and path.is_dir():
        return "sheets", "is left over from sheets that were not finished", DELETE
    if path.parent == workspace.experts and path.name.endswith(".machines"):
        return "", "is left over from a training on several machines that was killed", DELETE
    if path.parent.parent == workspace.root / "cluster":
        remedy = f"efficient-empathy score SOURCE {run} --on ray"
        return "score", "holds judgements of workers that were killed, which the ledger does not have yet", remedy
    if path.parent == workspace.generations and (match := _JOURNAL.fullmatch(path.name)):
        remedy = f"efficient-empathy generate {run} --model {shell(match[1])}"
        return f"generate:{match[1]}", "holds the replies of a generation that has not ended", remedy
    if match := _WORK.fullmatch(path.name):
        if path.parent == workspace.experts:
            remedy = f"efficient-empathy train {run} --subset {shell(match[1])}"
            return f"train:{match[1]}", "is a training that has not ended", remedy
        if path.parent == workspace.root:
            return "mix", "is left over from a mixing that has not ended", f"efficient-empathy mix {run}"
    return None
