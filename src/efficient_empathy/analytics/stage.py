"""The stage `analytics`: what a run's data, scores and selection look like, in `analytics/analytics.json`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.analytics import outcomes
from efficient_empathy.analytics.correlations import correlations
from efficient_empathy.analytics.cost import cost
from efficient_empathy.analytics.drift import LEVELS, between_periods, between_runs
from efficient_empathy.analytics.filtering import filtering
from efficient_empathy.analytics.findings import findings, libraries, missing_libraries
from efficient_empathy.analytics.personal import check_regions
from efficient_empathy.analytics.profiles import by_group, over_order
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.analytics.table import Floats, Labels, Table, read_table
from efficient_empathy.analytics.texts import read_exchanges, read_speakers
from efficient_empathy.analytics.topics import topics
from efficient_empathy.foundation.run.workspace import Workspace, atomic, file_hash
from efficient_empathy.foundation.statistics.finite import finite

STAGE = "analytics"
FILE = "analytics.json"
VERSION = 2
"""Of the file's keys."""
DIGITS = 6


def analytics(
    workspace: Workspace,
    settings: AnalyticsSettings | None = None,
    *,
    output: Path | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Measure a scored run and write `analytics/analytics.json`, and `output` as well if it is given.

    Skipped when what it is measured from, the settings and `libraries` are those of the last time, unless `force`.
    Returns what the file has (`measure`; docs/analytics.md says what each key is) with `path`, `seconds` and `skipped`.
    Raises `UserError` for a run that is not scored, and for periods or regions that there are not.
    """
    settings = settings or AnalyticsSettings()
    with workspace.lock():
        workspace.require(workspace.scores, "score SOURCE")
        found = _analytics(workspace, settings, force=force)
    if output is not None:
        _write(output, {key: value for key, value in found.items() if key not in ("path", "seconds", "skipped")})
        found["path"] = str(output)
    return found


def _analytics(workspace: Workspace, settings: AnalyticsSettings, *, force: bool) -> dict[str, Any]:
    began = time.perf_counter()
    path = workspace.analytics / FILE
    inputs, parameters = _inputs(workspace, settings), settings.model_dump(mode="json")
    last = workspace.stage(STAGE)
    depends = {"inputs": inputs, "parameters": parameters, "version": VERSION, "libraries": libraries()}
    same = depends == {key: last.get(key) for key in depends}
    if same and not force and path.exists() and workspace.whole(STAGE):
        return {**json.loads(path.read_text("utf-8")), "path": str(path), "seconds": last["seconds"], "skipped": True}
    found = measure(workspace, settings)
    _write(path, found)
    seconds = round(time.perf_counter() - began, 3)
    counts = {"samples": found["run"]["samples"], "drift": found["drift"]["level"]}
    counts["findings"] = {one["kind"]: one["count"] for one in found["findings"] if one["count"]}
    workspace.record(STAGE, {**depends, **counts, "seconds": seconds}, [path])
    return {**found, "path": str(path), "seconds": seconds, "skipped": False}


def measure(workspace: Workspace, settings: AnalyticsSettings | None = None) -> dict[str, Any]:
    """All numbers; nothing is written. Undefined ones are None."""
    settings = settings or AnalyticsSettings()
    check_regions(settings.regions)
    table = read_table(workspace)
    categories = table.labels("category")
    labels, about, note = _topics(workspace, table, settings)
    spent, judged = cost(workspace, table)
    kinds = {"category": categories, "topic": labels}
    notes = [*table.notes, *([note] if note else []), *missing_libraries()]
    if not categories.names:
        notes.append("the data has no categories: topics stand in for them")
    found: dict[str, Any] = plain({
        "version": VERSION,
        "run": _about(table, categories),
        "categories": by_group(table, categories, settings.confidence),
        "topics": _with_words(by_group(table, labels, settings.confidence), about),
        "order": over_order(table),
        "judged": _over_time(table, judged),
        "filtering": filtering(table, kinds, settings.confidence),
        "correlations": correlations(
            table, outcomes.outcomes(workspace, table), resamples=settings.resamples,
            confidence=settings.confidence, seed=settings.seed,
        ),
        "drift": _drift(table, settings, judged),
        "cost": spent,
        "findings": findings(table, read_exchanges(workspace.samples), settings),
        "notes": notes,
        "settings": settings.model_dump(mode="json"),
    })  # fmt: skip
    return found


def plain(value: Any) -> Any:
    """A record with None for numbers that are none, and others to six digits: what JSON can hold, and the same
    whatever order sums were made in."""
    return finite(value, lambda number: float(f"{number:.{DIGITS}g}"))


def _write(path: Path, found: Mapping[str, Any]) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(found, ensure_ascii=False, allow_nan=False, indent=1) + "\n", "utf-8")


def _inputs(workspace: Workspace, settings: AnalyticsSettings) -> dict[str, str]:
    """By name the hash of every file that the numbers hang on."""
    wal = workspace.ledger.with_name(f"{workspace.ledger.name}-wal")
    own = [workspace.samples, workspace.scores, workspace.assignments, workspace.ledger, wal]
    found = {str(path.relative_to(workspace.root)): file_hash(path) for path in own if path.exists()}
    found |= {str(path.relative_to(workspace.root)): file_hash(path) for path in outcomes.files(workspace)}
    if settings.against is not None:
        other = Workspace(settings.against)
        for path in (other.samples, other.scores, other.assignments):
            if path.exists():
                found[f"against {path.name}"] = file_hash(path)
    return found


def _about(table: Table, categories: Labels) -> dict[str, Any]:
    states = table.rows["state"].fill_null("not judged").value_counts().sort("count", "state", descending=[True, False])
    return {
        "name": table.name,
        "samples": len(table),
        "dialogues": int(table.dialogues.max(initial=-1)) + 1,
        "scored": int(table.scored.sum()),
        "states": dict(states.iter_rows()),
        "axes": {axis: list(scale) for axis, scale in table.scales.items()},
        "categories": len(categories.names),
        "subsets": list(table.subsets),
    }


def _topics(
    workspace: Workspace, table: Table, settings: AnalyticsSettings
) -> tuple[Labels, list[dict[str, Any]], str]:
    """Each row's topic, that of its dialogue."""
    texts = read_speakers(workspace.samples)
    labels, about, note = topics(texts["text"].to_list(), settings.topics, settings.seed)
    return Labels(labels.names, labels.codes[table.dialogues]), about, note


def _with_words(groups: dict[str, Any], about: list[dict[str, Any]]) -> dict[str, Any]:
    words = {one["name"]: one["words"] for one in about}
    return groups | {"groups": [{**one, "words": words[one["name"]]} for one in groups["groups"]]}


def _over_time(table: Table, judged: Floats | None) -> list[dict[str, Any]] | None:
    """Stretches by the time of judgement, with `from` and `to` in Unix seconds."""
    if judged is None:
        return None
    order = np.argsort(judged, kind="stable")[: int((~np.isnan(judged)).sum())]
    return [
        {**one, "from": int(judged[order[one["first"]]]), "to": int(judged[order[one["last"]]])}
        for one in over_order(table, order)
    ]


def _drift(table: Table, settings: AnalyticsSettings, judged: Floats | None) -> dict[str, Any]:
    """`comparisons` with the run that is named, else of periods; `level` is the worst of theirs."""
    if settings.against is not None:
        kind, found = "runs", between_runs(table, read_table(Workspace(settings.against)))
    else:
        kind, found = settings.periods, between_periods(table, settings.periods, judged)
    worst = max((one["level"] for one in found), key=LEVELS.index, default="unknown")
    return {"kind": kind, "level": worst, "comparisons": found}
