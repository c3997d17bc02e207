"""Golden sets: samples with the scores that a judge is expected to give them, in a folder of two files.

`items.jsonl` has one item a line, `manifest.json` says what the expectations came from, by hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.foundation.settings import load
from efficient_empathy.prompts.golden.items import Lines, Scale, read_lines
from efficient_empathy.prompts.testing.readings import Thresholds
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.rubric import Rubric

ITEMS, MANIFEST = "items.jsonl", "manifest.json"
BUNDLED = Path(str(files("efficient_empathy") / "assets" / "golden"))
SHOWN = 20


class Asked(BaseModel):
    """The rubric that expectations came from."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    hash: str
    axes: dict[str, tuple[int, int]]


class Applied(BaseModel):
    """The thresholds whose subsets are watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str = "paper"
    alpha: float = 5
    beta: float = 5


class Manifest(BaseModel):
    """`manifest.json`. What is null is not known, as with expectations of people, and is not compared."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: Literal[1] = 1
    name: str = Field(min_length=1)
    items: int
    """How many there are."""
    corpus: str
    """`corpus_hash` of the items' ids."""
    rubric: Asked | None = None
    judge: Annotated[JudgeSpec | None, BeforeValidator(lambda judge: judge or None)] = None
    """The judge that gave the expected scores."""
    decoding: dict[str, Any] | None = None
    """How its replies were asked for."""
    parser: str | None = None
    """`provenance.parser_hash` of what read its replies."""
    made: dict[str, Any] = {}
    thresholds: Applied = Applied()


@dataclass(frozen=True)
class GoldenItem:
    """A sample, and by axis the range that its score is expected in, both ends included."""

    sample: Sample
    expected: Mapping[str, tuple[float, float]]
    weight: float = 1.0
    """How many of the samples that the set was drawn from it stands for, relative to the other items."""
    note: str | None = None

    def row(self) -> dict[str, Any]:
        """The item as a line of `items.jsonl`."""
        sample = self.sample
        row: dict[str, Any] = {
            "id": sample.id,
            "dialogue_id": sample.dialogue_id,
            "turn": sample.turn,
            "context": [{"role": turn.role, "text": turn.text} for turn in sample.context],
            "response": sample.response,
            "category": sample.category,
            "expected": {axis: _plain(*ends) for axis, ends in self.expected.items()},
        }
        if self.weight != 1:
            row["weight"] = self.weight
        return row | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Golden:
    """A golden set that has been read and found to be in order."""

    items: tuple[GoldenItem, ...]
    manifest: Manifest

    @property
    def name(self) -> str:
        """What it is called."""
        return self.manifest.name

    @property
    def samples(self) -> list[Sample]:
        """What a judge is asked about, in order."""
        return [item.sample for item in self.items]

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that there are expectations on."""
        return tuple(self.items[0].expected)

    @property
    def thresholds(self) -> Thresholds:
        """Those of its manifest."""
        return Thresholds(**self.manifest.thresholds.model_dump())

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """What each item counts for, (items,); their mean is 1."""
        weights = np.array([item.weight for item in self.items])
        counted: npt.NDArray[np.float64] = weights / weights.mean()
        return counted


def corpus_hash(ids: Sequence[str]) -> str:
    """SHA-256 over the items' ids in order, a line each; first 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def read_golden(folder: Path | str, rubric: Rubric | None = None) -> Golden:
    """The golden set in `folder`, or the one in the package for the word `bundled`.

    Every expectation has to lie on the scales of `rubric` and cover its axes; without one, those of the manifest's, or
    of the bundled rubric. Raises `UserError` that names file and line.
    """
    place = golden_folder(folder)
    problems, golden = look_at(place, rubric)
    if golden is None:
        more = len(problems) - 1
        told = f" (and {more:,} more: `efficient-empathy prompts golden --check {place}` lists them)" if more else ""
        raise UserError(f"{problems[0]}{told}")
    return golden


def golden_folder(folder: Path | str) -> Path:
    """Where a golden set lies; `bundled` names the package's own. Raises `UserError` where there is no such folder."""
    place = BUNDLED if str(folder) == "bundled" else Path(folder)
    if not (place / ITEMS).is_file():
        raise UserError(
            f"{place} holds no golden set ({ITEMS} is missing): "
            f"`efficient-empathy prompts golden --run RUN -n 200 -o {folder}` makes one"
        )
    return place


def look_at(folder: Path, rubric: Rubric | None = None) -> tuple[list[str], Golden | None]:
    """Every problem of a golden set, one sentence each, and the set itself where there is none."""
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        told = f"`efficient-empathy prompts golden --check {folder} --write` writes it from {ITEMS}"
        return [f"{manifest_path} is missing: {told}"], None
    manifest = load(Manifest, manifest_path, "the manifest")
    lines = read_lines(folder / ITEMS, scales_of(rubric, manifest))
    problems = [*lines.problems, *([] if lines.problems else _misfits(manifest_path, manifest, lines))]
    if problems:
        return problems, None
    try:
        Thresholds.of(manifest.thresholds.model_dump())
    except UserError as error:
        return [f"{manifest_path}: {error}"], None
    return [], Golden(_items(lines), manifest)


def seal(folder: Path, rubric: Rubric | None = None) -> Golden:
    """Write a hand-made set anew: ids that are missing are filled in, and the manifest is made or made to fit.

    What a manifest already says of its origin is kept. Raises `UserError` for the first line that is not in order.
    """
    path = folder / MANIFEST
    known = load(Manifest, path, "the manifest") if path.is_file() else None
    lines = read_lines(golden_folder(folder) / ITEMS, scales_of(rubric, known), fill=True)
    if lines.problems:
        raise UserError(lines.problems[0])
    rubric = rubric or (Rubric.load() if known is None else None)
    told = known.model_dump(mode="json") if known else {"name": folder.resolve().name, "made": {"by": "hand"}}
    if rubric is not None:
        told["rubric"] = rubric_record(rubric)
    return write_golden(folder, _items(lines), **{k: v for k, v in told.items() if k not in ("items", "corpus")})


def write_golden(folder: Path, items: Sequence[GoldenItem], **told: Any) -> Golden:
    """Write a golden set; `told` is the manifest without `items` and `corpus`. Raises `UserError`."""
    corpus = corpus_hash([item.sample.id for item in items])
    manifest = Manifest.model_validate({**told, "items": len(items), "corpus": corpus})
    with atomic(folder / ITEMS) as path:
        path.write_text("".join(json.dumps(i.row(), ensure_ascii=False) + "\n" for i in items), "utf-8")
    with atomic(folder / MANIFEST) as path:
        path.write_text(json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return Golden(tuple(items), manifest)


def rubric_record(rubric: Rubric) -> dict[str, Any]:
    """What manifests keep of a rubric."""
    axes = {axis.name: list(axis.scale) for axis in rubric.axes}
    return {"name": rubric.name, "version": rubric.version, "hash": rubric.hash, "axes": axes}


def scales_of(rubric: Rubric | None, manifest: Manifest | None) -> dict[str, Scale]:
    """The scales that expectations have to lie on."""
    if rubric is None and manifest is not None and manifest.rubric is not None:
        return dict(manifest.rubric.axes)
    return {axis.name: axis.scale for axis in (rubric or Rubric.load()).axes}


def _misfits(path: Path, manifest: Manifest, lines: Lines) -> list[str]:
    """Where a manifest is of other items than those beside it."""
    mend = f"restore {ITEMS}, or let `prompts golden --check {path.parent} --write` make a set of its own of it"
    if manifest.items != len(lines.rows):
        return [f"{path} is of {manifest.items:,} items, and {ITEMS} has {len(lines.rows):,}: {mend}"]
    corpus = corpus_hash([row.sample.id for row in lines.rows])
    if manifest.corpus != corpus:
        return [f"{path} is of other items than {ITEMS} has (corpus {manifest.corpus}, not {corpus}): {mend}"]
    return []


def _items(lines: Lines) -> tuple[GoldenItem, ...]:
    return tuple(GoldenItem(row.sample, row.expected, row.weight, row.note) for row in lines.rows)


def _plain(low: float, high: float) -> float | list[float]:
    """A range as it is written: a number where both ends are the same."""
    ends = [int(end) if float(end).is_integer() else end for end in (low, high)]
    return ends[0] if low == high else ends
