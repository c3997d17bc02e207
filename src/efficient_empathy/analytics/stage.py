"""The stage `analytics`: what a run's data, scores and selection look like, in `analytics/analytics.json`."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from efficient_empathy.analytics.correlations import correlations, outcome_files, outcomes
from efficient_empathy.analytics.cost import cost
from efficient_empathy.analytics.drift import drift
from efficient_empathy.analytics.findings import check_regions, findings, libraries, missing_libraries
from efficient_empathy.analytics.profiles import by_group, filtering, over_order
from efficient_empathy.analytics.record import About, AnalyticsRecord, AnalyticsResult, AnalyticsStageRecord, Stretch
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.analytics.table import Labels, Table, read_exchanges, read_speakers, read_table
from efficient_empathy.analytics.topics import Topic, topics
from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.modelling.generation.replies import reply_names, require_replies

STAGE = AnalyticsStageRecord.STAGE
FILE = "analytics.json"


def analytics(
    workspace: Workspace,
    settings: AnalyticsSettings | None = None,
    *,
    output: Path | None = None,
    force: bool = False,
) -> AnalyticsResult:
    """Measure a scored run and write `analytics/analytics.json`, and `output` as well if it is given.

    Skipped when what it is measured from, the settings and `libraries` are those of the last time, unless `force`.
    Raises `UserError` for a run that is not scored, and for periods or regions that there are not.
    """
    settings = settings or AnalyticsSettings()
    with workspace.lock():
        workspace.require(workspace.scores, "score SOURCE")
        record, seconds, skipped = _analytics(workspace, settings, force=force)
    if output is not None:
        record.write(output)
    path = output or workspace.analytics / FILE
    return AnalyticsResult(**dict(record), path=str(path), seconds=seconds, skipped=skipped)


def _analytics(
    workspace: Workspace, settings: AnalyticsSettings, *, force: bool
) -> tuple[AnalyticsRecord, float, bool]:
    began = time.perf_counter()
    path = workspace.analytics / FILE
    inputs, parameters = _inputs(workspace, settings), settings.model_dump(mode="json")
    last = workspace.last(STAGE, AnalyticsStageRecord)
    now = (inputs, parameters, libraries())
    same = last is not None and (last.inputs, last.parameters, last.libraries) == now
    if last is not None and same and not force and workspace.whole(STAGE, path):
        return AnalyticsRecord.read(path), last.seconds, True
    record = measure(workspace, settings)
    record.write(path)
    entry = AnalyticsStageRecord(
        inputs=inputs,
        parameters=parameters,
        libraries=libraries(),
        samples=record.run.samples,
        drift=record.drift.level,
        findings={one.kind: one.count for one in record.findings if one.count},
        seconds=round(time.perf_counter() - began, 3),
    )
    workspace.record(STAGE, entry, [path])
    return record, entry.seconds, False


def measure(workspace: Workspace, settings: AnalyticsSettings | None = None) -> AnalyticsRecord:
    """All numbers; nothing is written. Undefined ones are None."""
    settings = settings or AnalyticsSettings()
    check_regions(settings.regions)
    table = read_table(workspace)
    categories = table.labels("category")
    labels, topic_list, note = _topics(table, settings)
    costs, judgement_times = cost(workspace, table)
    kinds = {"category": categories, "topic": labels}
    notes = [*table.notes, *([note] if note else []), *missing_libraries()]
    if not categories.names:
        notes.append("the data has no categories: topics stand in for them")
    return AnalyticsRecord(
        run=_about(table, categories),
        categories=by_group(table, categories, settings.confidence),
        topics=by_group(table, labels, settings.confidence, {one.name: one.words for one in topic_list}),
        order=over_order(table),
        judging_order=_over_time(table, judgement_times),
        filtering=filtering(table, kinds, settings.confidence),
        correlations=correlations(
            table, outcomes(workspace, table), resamples=settings.resamples,
            confidence=settings.confidence, seed=settings.seed,
        ),
        drift=drift(table, settings, judgement_times),
        cost=costs,
        findings=findings(table, read_exchanges(table.run), settings),
        notes=notes,
        settings=settings.model_dump(mode="json"),
    )  # fmt: skip


def _inputs(workspace: Workspace, settings: AnalyticsSettings) -> dict[str, str]:
    """By name the hash of every file that the numbers hang on. Raises `UserError` for responses that have changed."""
    for name in reply_names(workspace):
        require_replies(workspace, name)
    wal = workspace.ledger.with_name(f"{workspace.ledger.name}-wal")
    own = [workspace.samples, workspace.scores, workspace.assignments, workspace.ledger, wal]
    hashes = {str(path.relative_to(workspace.root)): file_hash(path) for path in own if path.exists()}
    hashes |= {str(path.relative_to(workspace.root)): file_hash(path) for path in outcome_files(workspace)}
    if said := read_corrections(workspace.corrections).digest:
        hashes[workspace.corrections.name] = said
    if settings.against is not None:
        other = Workspace(settings.against)
        for path in (other.samples, other.scores, other.assignments):
            if path.exists():
                hashes[f"against {path.name}"] = file_hash(path)
    return hashes


def _about(table: Table, categories: Labels) -> About:
    states = table.rows["state"].fill_null("not judged").value_counts().sort("count", "state", descending=[True, False])
    return About(
        name=table.name,
        samples=len(table),
        dialogues=int(table.dialogues.max(initial=-1)) + 1,
        scored=int(table.scored.sum()),
        states=dict(states.iter_rows()),
        axes=dict(table.scales),
        categories=len(categories.names),
        subsets=list(table.subsets),
        otherwise=table.otherwise,
    )


def _topics(table: Table, settings: AnalyticsSettings) -> tuple[Labels, list[Topic], str]:
    """Each row's topic, that of its dialogue."""
    texts = read_speakers(table.run)
    labels, topic_list, note = topics(texts["text"].to_list(), settings.topics, settings.seed)
    return Labels(labels.names, labels.codes[table.dialogues]), topic_list, note


def _over_time(table: Table, judgement_times: Floats | None) -> list[Stretch] | None:
    """Stretches by the time of judgement, with `start` and `end` in Unix seconds."""
    if judgement_times is None:
        return None
    order = np.argsort(judgement_times, kind="stable")[: int((~np.isnan(judgement_times)).sum())]
    times = judgement_times[order]
    return [
        one.model_copy(update={"start": int(times[one.first]), "end": int(times[one.last])})
        for one in over_order(table, order)
    ]
