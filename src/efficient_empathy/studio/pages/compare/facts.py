"""What runs are made of, row by row, so that what differs between them stands out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import JsonValue

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import clip, count, dollars, duration, moment, share
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.training.record import TRAINING, TrainingRecord

ABSENT = "–"
DATA = "Data"
TITLES = {
    "read": DATA,
    "score": "Scoring",
    "select": "Selection",
    "train": "Training",
    "mix": "Mixing",
    "generate": "Generation",
    "evaluate": "Evaluation",
}
"""What stages are called; another one is called as it is in the manifest."""
LONGEST = 300
_FEW = 12
_HEX = re.compile(r"[0-9a-f]{24,}")
_ASIDE = ("version", "seconds", "finished at", "bytes", "path")
_OMITTED = ("bad_row_examples",)
_SETTINGS = ("subset", "base", "method", "settings", "samples", "dialogues", "tokens", "steps", "device", "precision")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known of runs: as text for each, `ABSENT` where a run has no such thing.

    `differs` is about the values themselves, also where their text is cut, among the runs that have the stage. A fact
    that is `aside` follows from others or from the day: times, versions, hashes of what went in.
    """

    name: str
    values: tuple[str, ...]
    differs: bool
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """The facts of one stage, and which of the runs have it."""

    title: str
    facts: tuple[Fact, ...]
    has: tuple[bool, ...]

    def rows(self, everything: bool) -> tuple[Fact, ...]:
        """All facts, or those that differ and are not aside."""
        return tuple(one for one in self.facts if everything or (one.differs and not one.aside))


def facts(workspaces: Sequence[Workspace]) -> list[Section]:
    """Manifests and training records side by side, in the order of the stages.

    Raises `UserError` for a manifest that is damaged.
    """
    every = [_sections(workspace) for workspace in workspaces]
    titles = dict.fromkeys(title for sections in every for title in sections)
    standard = [title for title in dict.fromkeys(TITLES.values()) if title in titles]
    order = [*standard, *(title for title in titles if title not in standard)]
    return [_section(title, [one.get(title, {}) for one in every]) for title in order]


def stages(sections: Sequence[Section]) -> Section:
    """Which runs have which stages, a row a stage."""
    rows = [(one.title, tuple("yes" if there else ABSENT for there in one.has)) for one in sections]
    columns = len(sections[0].has) if sections else 0
    return Section("Stages", tuple(Fact(name, v, len(set(v)) > 1) for name, v in rows), (True,) * columns)


def _sections(workspace: Workspace) -> dict[str, dict[str, JsonValue]]:
    """By title, the flat facts of one run: dotted names and plain values."""
    stages = workspace.manifest().stages
    sections: dict[str, dict[str, JsonValue]] = {}
    for stage, record in stages.items():
        flat = dict(_flat(record))
        data = {name: value for name, value in flat.items() if stage == "score" and _of_data(name, stages)}
        sections.setdefault(DATA, {}).update({k: v for k, v in data.items() if k not in sections.get(DATA, {})})
        title = _title(stage)
        sections.setdefault(title, {}).update({k: v for k, v in flat.items() if k not in data})
    for path in sorted(workspace.experts.glob(f"[!.]*/{TRAINING}")):
        with suppress(UserError):
            record = TrainingRecord.read(path).model_dump(mode="json")
            settings = {name: record[name] for name in _SETTINGS}
            sections.setdefault(_title(f"train:{path.parent.name}"), {}).update(_flat(settings))
    return {title: facts for title, facts in sections.items() if facts}


def _title(stage: str) -> str:
    kind, colon, name = stage.partition(":")
    return TITLES.get(kind, kind.replace("_", " ").capitalize()) + (f": {name}" if colon else "")


def _of_data(name: str, stages: Iterable[str]) -> bool:
    """Whether `score` only says again what `read` says."""
    first = name.split(" › ")[0]
    if first not in ("source", "samples", "conversations", "duplicates", "bad_rows", "repairs", "skipped_files"):
        return False
    return "read" in stages or first in ("source", "samples", "conversations")


def _flat(value: Mapping[str, JsonValue], before: str = "") -> Iterator[tuple[str, JsonValue]]:
    for key, inner in value.items():
        if key in _OMITTED:
            continue
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{name} › ")
        elif isinstance(inner, list) and any(isinstance(one, Mapping) for one in inner) and len(inner) <= _FEW:
            for place, one in enumerate(inner, 1):
                yield from _flat(one if isinstance(one, Mapping) else {"": one}, f"{name} {place} › ")
        else:
            yield name, inner


def _section(title: str, columns: Sequence[Mapping[str, JsonValue]]) -> Section:
    facts = []
    for name in dict.fromkeys(name for column in columns for name in column):
        values = [column.get(name) for column in columns if column]
        differs = any(value != values[0] for value in values)
        aside = name.startswith(("versions › ", "inputs › ")) or name.split(" › ")[-1] in _ASIDE
        facts.append(Fact(name, tuple(_value_text(name, column) for column in columns), differs, aside))
    return Section(title, tuple(facts), tuple(bool(column) for column in columns))


def _value_text(name: str, column: Mapping[str, JsonValue]) -> str:
    """A value as a reader wants it: moments, money and shares as such, hashes by their beginning."""
    value, last = column.get(name), name.split(" › ")[-1]
    if value is None or value in ("", [], {}):
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number_text(value, name, last, column)
    if isinstance(value, list):
        items = ", ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in value[:_FEW])
        return clip(items + (f" and {len(value) - _FEW:,} more" if len(value) > _FEW else ""), LONGEST)
    if isinstance(value, str):
        return clip(_HEX.sub(lambda match: f"{match.group()[:12]}…", value), LONGEST)
    return clip(str(value), LONGEST)


def _number_text(value: float, name: str, last: str, column: Mapping[str, JsonValue]) -> str:
    if last == "finished at":
        return moment(value)
    if last == "seconds":
        return duration(value)
    if last.endswith("usd"):
        return dollars(value)
    if name.startswith(("subsets › ", "states › ")):
        beginning = name.split(" › ")[0] + " › "
        parts = (part for other, part in column.items() if other.startswith(beginning))
        return f"{count(value)} ({share(value, sum(part for part in parts if isinstance(part, int | float)))})"
    return count(value) if isinstance(value, int) else f"{value:g}"
