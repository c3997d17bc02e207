"""The key of the sheets: what each item is. It stays in the run's folder; whoever has it is not blind."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic

NAME = "key.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Item(_Part):
    """One row of one rater's sheet."""

    task: Task
    sample_id: str
    shown: list[list[str]]
    """The models whose response is shown: one list for a rating, the left and the right one for a comparison. Models
    that gave the same response share a list."""
    repeat_of: str | None = None
    """The item of the same sheet that this one repeats, for self-consistency."""
    text: str
    """`fingerprint` of what the row shows."""


class SheetKey(_Part):
    """One rater's sheet: the files it was written to, the hash of what it shows, its items in their order."""

    rater: str
    files: list[str]
    sha256: str
    items: dict[str, Item]


class Identical(_Part):
    """Two models that gave one and the same response to a sample: a tie that nobody is asked about."""

    sample_id: str
    a: str
    b: str


class Key(_Part):
    """`ratings/key.json`."""

    version: int = 1
    seed: int
    models: list[str]
    questions: list[str]
    """The columns of a comparison."""
    dialogues: dict[str, str]
    """The dialogue of every sample that is rated."""
    identical: list[Identical]
    sheets: list[SheetKey]

    def find(self, item: str) -> tuple[SheetKey, Item] | None:
        """The sheet that has an item, and the item."""
        return next(((sheet, sheet.items[item]) for sheet in self.sheets if item in sheet.items), None)


def fingerprint(texts: list[str]) -> str:
    """What a row's texts are known by, whatever a spreadsheet's encoding did to accents, quotes and line ends."""
    letters = re.sub(r"[^a-z0-9]", "", "".join(texts).lower())
    return hashlib.sha256(letters.encode()).hexdigest()[:12]


def write_key(key: Key, folder: Path, *, force: bool = False) -> Path:
    """Write `key.json`, readable by its owner alone.

    Without `force` a key with another content is left as it is: sheets that were handed out are worth nothing without
    theirs. With it, that one is kept as `key-1.json` (2, 3 …). Raises `UserError`.
    """
    path = folder / NAME
    text = json.dumps(key.model_dump(), indent=1, ensure_ascii=False) + "\n"
    if path.exists() and path.read_bytes() != text.encode():
        if not force:
            raise UserError(
                f"{path} belongs to other sheets, which could not be read back without it: read those first, then use "
                "--force to make new ones"
            )
        taken = sum(1 for _ in folder.glob("key-*.json"))
        path.rename(folder / f"key-{taken + 1}.json")
    with atomic(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, "utf-8")
    return path


def read_key(path: Path) -> Key:
    """Read a key. Raises `UserError`."""
    try:
        return Key.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the key of the sheets {path}: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no key of rating sheets: make the sheets anew, or restore the file") from error
