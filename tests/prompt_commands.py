"""Rubrics, a server that reads them, and the commands of `prompts`, for tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

import misbehaviours as does
from efficient_empathy.cli import app
from efficient_empathy.scoring import Rubric

STRICT = "You are strict: when in doubt, give the lower number."


def stricter(folder: Path, **changes: Any) -> Path:
    """A rubric file that `strict` answers lower: the bundled one with another system message."""
    rubric = Rubric.load().model_copy(update={"name": "stricter", "version": 2, "system": STRICT, **changes})
    path = folder / "stricter.yaml"
    path.write_text(yaml.safe_dump(rubric.model_dump()), "utf-8")
    return path


def strict(body: dict[str, Any], _: int) -> does.Behaviour:
    """Scores that hang on the dialogue alone, sensibility two lower where the rubric is strict."""
    messages = body["messages"]
    dialogue = messages[-1]["content"].partition("<<<context")[2]
    number = hashlib.sha256(dialogue.encode()).digest()
    lower = 2 if STRICT in messages[0]["content"] else 0
    scores = {"sensibility": max(0, number[0] % 11 - lower), "rationality": number[1] % 5}
    return does.ok(json.dumps(scores), usage=(300 + 20 * lower, 12))


def prompts(*arguments: str | Path) -> Result:
    """`efficient-empathy prompts …`."""
    return CliRunner().invoke(app, ["prompts", *map(str, arguments)])
