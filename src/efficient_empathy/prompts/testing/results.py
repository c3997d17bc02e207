"""Results of prompt tests on disk: one JSON file each, with all that a later comparison needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.foundation.statistics.finite import finite, six_decimals

KIND = "prompt-test"
FORMAT = 1
LATEST = "latest"
_NAME = re.compile(r"^(\d{4,})-.*\.json$")


class Results:
    """The numbered results in a test's folder, the oldest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "results"

    def paths(self) -> list[Path]:
        """Their files, in order."""
        found = self.folder.glob("*.json") if self.folder.is_dir() else ()
        return sorted((path for path in found if _NAME.match(path.name)), key=_number)

    def all(self) -> list[tuple[Path, dict[str, Any]]]:
        """Their files and contents. Raises `UserError` for a file that is none."""
        return [(path, read_result(path)) for path in self.paths()]

    def write(self, result: Mapping[str, Any], judge: str) -> Path:
        """Write a result under the next number; returns its file."""
        paths = self.paths()
        number = _number(paths[-1]) + 1 if paths else 1
        path = self.folder / f"{number:04d}-{slug(judge)}.json"
        rewrite(path, result)
        return path

    def latest(self, judge: str, at_most: int) -> tuple[Path, dict[str, Any]] | None:
        """The last of the first `at_most` results: of this judge if there is one, else of any."""
        found = self.all()[:at_most]
        same = [one for one in found if one[1]["judge"]["name"] == judge]
        return (same or found)[-1] if found else None


def rewrite(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result to a file. Raises `UserError`."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(plain(result), indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_result(path: Path) -> dict[str, Any]:
    """A result that `prompts test` wrote. Raises `UserError` for what is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the result {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): take a file from the results of `prompts test`") from error
    needed = {"kind", "format", "corpus", "rubric", "judge", "items", "rounds", "parser", "decoding"}
    if not isinstance(found, dict) or not needed <= found.keys() or found["kind"] != KIND:
        raise UserError(f"{path} is no result of `prompts test`: take a file from its folder's results/")
    if found["format"] != FORMAT:
        raise UserError(f"{path} has format {found['format']}; this version reads {FORMAT}: run the test again")
    return found


def slug(name: str) -> str:
    """A judge's name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "judge"


def plain(value: Any) -> Any:
    """`value` as a result's file holds it: null for what is no finite number, six decimals of what is."""
    return finite(value, six_decimals)


def _number(path: Path) -> int:
    found = _NAME.match(path.name)
    return int(found[1]) if found else 0
