"""Which rubrics there are and where they were used: prompts, like data, are known by their hash."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import clip, dollars, moment
from efficient_empathy.foundation.yaml_text import YAMLFaultError, read_yaml
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.rubric import BUNDLED, Rubric

FOLDERS = ("runs", "prompt-tests", "prompt-comparisons")
"""Scanned by default, beside the rubric files of the current folder."""
MOST_BYTES = 32_000_000
"""JSON files that are larger hold data, not records."""
UNKNOWN = "unknown"
PLACES = 5
"""Shown of each rubric in words."""
_LEDGER, _YAML = "ledger.sqlite", (".yaml", ".yml")
_DEEPEST = 8


@dataclass
class RubricUse:
    """One rubric, by its hash, and all that is known of its use; `judges` counts judgements by the judge's name."""

    hash: str
    name: str = UNKNOWN
    version: int | None = None
    axes: dict[str, list[int]] = field(default_factory=dict)
    judges: dict[str, int] = field(default_factory=dict)
    cost_usd: float = 0.0
    last_used: float | None = None
    files: list[str] = field(default_factory=list)
    where: list[str] = field(default_factory=list)

    @property
    def judgements(self) -> int:
        """How many there are, of all judges."""
        return sum(self.judges.values())

    def describe(self, name: str, version: int | None, axes: dict[str, list[int]]) -> None:
        """Take over what is not known yet."""
        self.name = name if self.name == UNKNOWN and name else self.name
        self.version = self.version if self.version is not None else version
        if not all(self.axes.values()) or not self.axes:
            self.axes = axes or self.axes

    def note_place(self, place: str) -> None:
        """Note a place of use, once."""
        if place not in self.where:
            self.where.append(place)


@dataclass(frozen=True)
class PromptList:
    """Every rubric that is known, and where that was looked for."""

    rubrics: list[RubricUse]
    scanned: list[str]
    """Folders that were looked through."""
    skipped: list[str]
    """One sentence for each folder that is not there and each file that cannot be read."""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        rubrics = [
            {**asdict(use), "judgements": use.judgements, "cost_usd": round(use.cost_usd, 6)} for use in self.rubrics
        ]
        return {"rubrics": rubrics, "scanned": self.scanned, "skipped": self.skipped}


class _Scan:
    """What there is, as far as it has been looked at."""

    def __init__(self) -> None:
        self.rubrics: dict[str, RubricUse] = {}
        self.skipped: list[str] = []

    def of(self, digest: str) -> RubricUse:
        return self.rubrics.setdefault(digest, RubricUse(digest))

    def look(self, path: Path) -> None:
        """Take in a file. Raises what a damaged one raises."""
        if path.name == _LEDGER:
            self.ledger(path)
        elif path.suffix.lower() not in _YAML:
            self.record(path)
        elif (rubric := rubric_in(path)) is not None:
            self.rubric(rubric, str(path))

    def rubric(self, loaded: Rubric, place: str) -> None:
        use = self.of(loaded.hash)
        use.name = loaded.name
        use.describe(loaded.name, loaded.version, {axis.name: list(axis.scale) for axis in loaded.axes})
        use.files.append(place)

    def ledger(self, path: Path) -> None:
        with Ledger(path, read_only=True) as ledger:
            for judgement in ledger.judgements():
                use = self.of(judgement.rubric)
                use.judges[judgement.judge] = use.judges.get(judgement.judge, 0) + 1
                use.cost_usd += judgement.cost_usd
                use.last_used = max(use.last_used or 0.0, judgement.created_at)
                use.note_place(str(path.parent))

    def record(self, path: Path) -> None:
        for mention in rubrics_in(_json(path)):
            use = self.of(mention.hash)
            use.describe(mention.name, mention.version, mention.axes)
            use.note_place(str(path.parent))


def list_prompts(folders: Sequence[Path | str] | None = None) -> PromptList:
    """Every rubric that is known, the last used one first.

    Looks through `folders` (those of `FOLDERS` that there are, by default) for ledgers, manifests, results and rubric
    files, and at the rubric files of the current folder and of the package.
    """
    places = [Path(folder) for folder in folders or [name for name in FOLDERS if Path(name).is_dir()]]
    scan = _Scan()
    scan.skipped += [f"{folder} is no folder" for folder in places if not folder.is_dir()]
    for name in BUNDLED:
        scan.rubric(Rubric.load(name), f"{name} (bundled)")
    own = [path for path in _files(Path(), depth=0) if path.suffix.lower() in _YAML]
    paths = {path.resolve(): path for path in (*own, *(path for folder in places for path in _files(folder)))}
    for path in paths.values():
        try:
            scan.look(path)
        except (UserError, OSError, ValueError, RecursionError) as error:
            scan.skipped.append(f"{path} is skipped: {' '.join(str(error).split())[:300]}")
    rubrics = sorted(scan.rubrics.values(), key=lambda use: (-(use.last_used or 0), use.name, use.hash))
    scanned = [str(folder) for folder in places if folder.is_dir()]
    return PromptList(rubrics, scanned, list(dict.fromkeys(scan.skipped)))


def known_rubrics(folders: Iterable[Path]) -> dict[str, Rubric]:
    """By hash, the rubrics of the package and of the YAML files that lie directly in `folders`; damaged ones are left
    out."""
    rubrics = {rubric.hash: rubric for rubric in map(Rubric.load, BUNDLED)}
    for path in (path for folder in folders for path in _files(folder, depth=0) if path.suffix.lower() in _YAML):
        try:
            rubric = rubric_in(path)
        except (UserError, OSError):
            continue
        if rubric is not None:
            rubrics.setdefault(rubric.hash, rubric)
    return rubrics


def rubric_in(path: Path) -> Rubric | None:
    """The rubric in a YAML file, None where the file is of another kind. Raises `UserError` for a damaged one."""
    try:
        content = read_yaml(path)
    except YAMLFaultError as error:
        raise UserError(f"not YAML ({str(error)[:120]})") from error
    if not isinstance(content, dict) or not {"axes", "prompt"} <= content.keys():
        return None
    if "{second}" in str(content["prompt"]):
        return None  # of pairs
    return Rubric.load(path)


@dataclass(frozen=True)
class RubricMention:
    """What a record says of a rubric."""

    hash: str
    name: str
    version: int | None
    axes: dict[str, list[int]]


def rubrics_in(content: Any) -> Iterator[RubricMention]:
    """Every `rubric` of a record, at any depth, that has a name and a hash."""
    if isinstance(content, dict):
        about = content.get("rubric")
        if isinstance(about, dict) and all(isinstance(about.get(key), str) for key in ("name", "hash")):
            version = about.get("version") if isinstance(about.get("version"), int) else None
            yield RubricMention(about["hash"], about["name"], version, _axes(about.get("axes")))
        for value in content.values():
            yield from rubrics_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from rubrics_in(value)


def _json(path: Path) -> Any:
    if path.stat().st_size > MOST_BYTES:
        return None
    return json.loads(path.read_bytes())


def _axes(axes: Any) -> dict[str, list[int]]:
    """The axes of a record by name, with their scales where it has them."""
    if isinstance(axes, list):
        return {str(name): [] for name in axes}
    return {str(k): list(v) for k, v in axes.items() if isinstance(v, list)} if isinstance(axes, dict) else {}


def _files(folder: Path, depth: int = _DEEPEST) -> Iterator[Path]:
    """The files in a folder and below it that may tell of rubrics, in order; hidden folders and links are passed by."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if depth and not entry.name.startswith("."):
                yield from _files(path, depth - 1)
        elif entry.name == _LEDGER or path.suffix.lower() in (*_YAML, ".json"):
            yield path


def summary(prompts: PromptList) -> str:
    """The list in words: a paragraph a rubric."""
    lines = []
    for use in prompts.rubrics:
        version = f" version {use.version}" if use.version is not None else ""
        axes = ", ".join(f"{name} {'–'.join(map(str, scale))}".strip() for name, scale in use.axes.items())
        lines.append(f"{use.hash}  {clip(use.name, 60)}{version}" + (f": {axes}" if axes else ""))
        lines += [f"    file: {place}" for place in use.files[:PLACES]]
        if len(use.files) > PLACES:
            lines.append(f"    and {len(use.files) - PLACES} more files")
        if use.judgements:
            judges = ", ".join(f"{clip(name, 60)} {count:,}" for name, count in use.judges.items())
            lines.append(
                f"    {use.judgements:,} judgements ({judges}), {dollars(use.cost_usd)}, "
                f"last {moment(use.last_used or 0.0)}"
            )
        else:
            lines.append("    no judgements found")
        lines += [f"    in {place}" for place in use.where[:PLACES]]
        if len(use.where) > PLACES:
            lines.append(f"    and in {len(use.where) - PLACES} more places")
    lines += [f"Skipped: {sentence}" for sentence in prompts.skipped]
    scanned = ", ".join(prompts.scanned) or "nothing but this folder and the package"
    lines.append(
        f"Looked through {scanned}. Next: efficient-empathy prompts compare A B puts two of them side by side."
    )
    return "\n".join(lines)
