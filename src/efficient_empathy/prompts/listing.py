"""Which rubrics there are and where they were used: prompts, like data, are known by their hash."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import clip, dollars, moment
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
class Used:
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

    def record(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {**self.__dict__, "judgements": sum(self.judges.values()), "cost_usd": round(self.cost_usd, 6)}

    def describe(self, name: str, version: int | None, axes: dict[str, list[int]]) -> None:
        """Take over what is not known yet."""
        self.name = name if self.name == UNKNOWN and name else self.name
        self.version = self.version if self.version is not None else version
        if not all(self.axes.values()) or not self.axes:
            self.axes = axes or self.axes

    def kept_in(self, place: str) -> None:
        """Note a place of use, once."""
        if place not in self.where:
            self.where.append(place)


class _Scan:
    """What has been found so far."""

    def __init__(self) -> None:
        self.rubrics: dict[str, Used] = {}
        self.skipped: list[str] = []

    def of(self, digest: str) -> Used:
        return self.rubrics.setdefault(digest, Used(digest))

    def look(self, path: Path) -> None:
        """Take in a file. Raises what a damaged one raises."""
        if path.name == _LEDGER:
            self.ledger(path)
        elif path.suffix.lower() not in _YAML:
            self.record(path)
        elif (loaded := rubric_in(path)) is not None:
            self.rubric(loaded, str(path))

    def rubric(self, loaded: Rubric, place: str) -> None:
        used = self.of(loaded.hash)
        used.name = loaded.name
        used.describe(loaded.name, loaded.version, {axis.name: list(axis.scale) for axis in loaded.axes})
        used.files.append(place)

    def ledger(self, path: Path) -> None:
        with Ledger(path, read_only=True) as ledger:
            for judgement in ledger.judgements():
                used = self.of(judgement.rubric)
                used.judges[judgement.judge] = used.judges.get(judgement.judge, 0) + 1
                used.cost_usd += judgement.cost_usd
                used.last_used = max(used.last_used or 0.0, judgement.created_at)
                used.kept_in(str(path.parent))

    def record(self, path: Path) -> None:
        for about in rubrics_in(_json(path)):
            used = self.of(about["hash"])
            version = about.get("version")
            used.describe(about["name"], version if isinstance(version, int) else None, _axes(about.get("axes")))
            used.kept_in(str(path.parent))


def list_prompts(folders: Sequence[Path | str] | None = None) -> dict[str, Any]:
    """Every rubric that is known, the last used one first: `{rubrics, scanned, skipped}`.

    Looks through `folders` (those of `FOLDERS` that there are, by default) for ledgers, manifests, results and rubric
    files, and at the rubric files of the current folder and of the package. `skipped` has one sentence for each folder
    that is not there and each file that cannot be read.
    """
    chosen = [Path(folder) for folder in folders or [name for name in FOLDERS if Path(name).is_dir()]]
    scan = _Scan()
    scan.skipped += [f"{folder} is no folder" for folder in chosen if not folder.is_dir()]
    for name in BUNDLED:
        scan.rubric(Rubric.load(name), f"{name} (bundled)")
    own = [path for path in _files(Path(), depth=0) if path.suffix.lower() in _YAML]
    found_in = {path.resolve(): path for path in (*own, *(path for folder in chosen for path in _files(folder)))}
    for path in found_in.values():
        try:
            scan.look(path)
        except (UserError, OSError, ValueError, RecursionError) as error:
            scan.skipped.append(f"{path} is skipped: {' '.join(str(error).split())[:300]}")
    found = sorted(scan.rubrics.values(), key=lambda used: (-(used.last_used or 0), used.name, used.hash))
    return {
        "rubrics": [used.record() for used in found],
        "scanned": [str(folder) for folder in chosen if folder.is_dir()],
        "skipped": list(dict.fromkeys(scan.skipped)),
    }


def known_rubrics(folders: Iterable[Path]) -> dict[str, Rubric]:
    """By hash, the rubrics of the package and of the YAML files that lie directly in `folders`; damaged ones are left
    out."""
    found = {loaded.hash: loaded for loaded in map(Rubric.load, BUNDLED)}
    for path in (path for folder in folders for path in _files(folder, depth=0) if path.suffix.lower() in _YAML):
        try:
            loaded = rubric_in(path)
        except (UserError, OSError):
            continue
        if loaded is not None:
            found.setdefault(loaded.hash, loaded)
    return found


def rubric_in(path: Path) -> Rubric | None:
    """The rubric in a YAML file, None where the file is of another kind. Raises `UserError` for a damaged one."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise UserError(f"not YAML ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(content, dict) or not {"axes", "prompt"} <= content.keys():
        return None
    if "{second}" in str(content["prompt"]):
        return None  # of pairs
    return Rubric.load(path)


def rubrics_in(content: Any) -> Iterator[dict[str, Any]]:
    """Every `rubric` of a record, at any depth, that has a name and a hash."""
    if isinstance(content, dict):
        about = content.get("rubric")
        if isinstance(about, dict) and all(isinstance(about.get(key), str) for key in ("name", "hash")):
            yield about
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


def summary(found: dict[str, Any]) -> str:
    """The list in words: a paragraph a rubric."""
    lines = []
    for used in found["rubrics"]:
        version = f" version {used['version']}" if used["version"] is not None else ""
        axes = ", ".join(f"{name} {'–'.join(map(str, scale))}".strip() for name, scale in used["axes"].items())
        lines.append(f"{used['hash']}  {clip(used['name'], 60)}{version}" + (f": {axes}" if axes else ""))
        lines += [f"    file: {place}" for place in used["files"]]
        if used["judgements"]:
            judges = ", ".join(f"{clip(name, 60)} {count:,}" for name, count in used["judges"].items())
            lines.append(
                f"    {used['judgements']:,} judgements ({judges}), {dollars(used['cost_usd'])}, "
                f"last {moment(used['last_used'])}"
            )
        else:
            lines.append("    no judgements found")
        lines += [f"    in {place}" for place in used["where"][:PLACES]]
        if len(used["where"]) > PLACES:
            lines.append(f"    and in {len(used['where']) - PLACES} more places")
    lines += [f"Skipped: {told}" for told in found["skipped"]]
    scanned = ", ".join(found["scanned"]) or "nothing but this folder and the package"
    lines.append(
        f"Looked through {scanned}. Next: efficient-empathy prompts compare A B puts two of them side by side."
    )
    return "\n".join(lines)
