"""The commands that `check` names, of runs whose manifest a stranger may have written."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.integrity.commands import command_of

EVIL = "$(touch x); a"
ENTRIES: dict[str, dict[str, Any]] = {
    EVIL: {},
    f"train:{EVIL}": {"made_from": {"parameters": {"subset": EVIL, "size": EVIL, "seed": EVIL}}},
    f"generate:{EVIL}": {"parameters": {"samples": EVIL}},
    f"pairwise:{EVIL}": {},
    f"pairwise:{EVIL}:{EVIL}": {},
    "select": {"policy": {"name": "paper", "thresholds": {"alpha": EVIL, EVIL: 3}}},
    "mix": {"parameters": {"seed": EVIL, "init": [EVIL]}},
    "evaluate": {"parameters": {"metrics": EVIL}},
}


@pytest.mark.parametrize("stage", ENTRIES)
def test_a_shell_that_a_command_is_pasted_into_runs_nothing_of_the_manifest(stage: str, tmp_path: Path) -> None:
    command = command_of(Path(EVIL), stage, ENTRIES[stage], {})
    printed = command.replace("efficient-empathy ", "printf '%s ' ", 1)
    result = subprocess.run(["sh", "-c", printed], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.count(EVIL) == command.count("touch x")
    assert not list(tmp_path.iterdir())


def test_a_threshold_is_typed_as_a_person_would() -> None:
    entry = {"policy": {"name": "paper", "thresholds": {"alpha": 6.0, "beta": 4.5}}}
    command = command_of(Path("runs/a"), "select", entry, {})
    assert command == "efficient-empathy select --run runs/a --threshold alpha=6 --threshold beta=4.5"
