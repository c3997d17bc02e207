"""The page of analytics: what the room `analytics` measured of a run, drawn and in tables.

Shown is the run's own `analytics/analytics.json` where it is up to date; else the numbers are measured in a thread and
kept in the studio's folder. A run's own files are never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.analytics import measure
from efficient_empathy.analytics.correlations import outcome_files
from efficient_empathy.analytics.cost import cost
from efficient_empathy.analytics.drift import COLUMNS, drift
from efficient_empathy.analytics.findings import libraries
from efficient_empathy.analytics.formatting import TITLES
from efficient_empathy.analytics.record import AnalyticsRecord, AnalyticsStageRecord, Comparison, Drift
from efficient_empathy.analytics.settings import HALF, JUDGED, AnalyticsSettings
from efficient_empathy.analytics.stage import FILE, STAGE
from efficient_empathy.analytics.table import read_table
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures import charts as figures
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures.looks import look
from efficient_empathy.foundation.run.corrections import read_corrections
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.analytics import views
from efficient_empathy.studio.pages.live.standing import standing
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.results import Hashes, Result, Results, Tell, key_of

PERIODS = {
    HALF: "the halves of the file",
    JUDGED: "the halves of the time of judging",
    **{column: f"the values of {column}" for column in COLUMNS},
}
"""What drift can be between, besides two runs."""


def routes(studio: Studio) -> list[BaseRoute]:
    """The page, and how far its numbers are."""
    cache = MeasurementCache(studio)
    return [
        Route("/analytics", partial(_page, studio, cache)),
        Route("/api/analytics/numbers", partial(_state, studio, cache, "numbers")),
        Route("/api/analytics/drift", partial(_state, studio, cache, "drift")),
    ]


class MeasurementCache:
    """The numbers of runs, measured once for the same files."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._hashes = Hashes()
        self._results = Results(studio.data_folder / "analytics")

    def numbers(self, name: str, *, again: bool = False) -> Result:
        """All numbers of a run, or how far they are; those in its own folder where they still hold."""
        workspace = self._studio.runs.workspace(name)
        key = key_of("numbers", AnalyticsRecord.VERSION, libraries(), name, self._inputs(workspace))
        if again:
            self._results.retry(key)

        def work(tell: Tell) -> Mapping[str, Any]:
            record = self._own(workspace)
            if record is None:
                tell(0.0, "groups, topics, correlations, drift, cost, findings")
                record = measure(workspace)
            return record.model_dump(mode="json")

        return self._results.get(key, work)

    def drift(self, name: str, against: str, periods: str, *, again: bool = False) -> Result:
        """The drift of a run from the run `against`, or where that is empty between `periods`; or how far it is."""
        workspace = self._studio.runs.workspace(name)
        other = self._studio.runs.workspace(against) if against else None
        inputs = [self._inputs(one) for one in (workspace, other) if one is not None]
        key = key_of("drift", AnalyticsRecord.VERSION, name, against, periods, inputs)
        if again:
            self._results.retry(key)

        def work(tell: Tell) -> Mapping[str, Any]:
            tell(0.0, "counting scores in bins")
            table = read_table(workspace)
            times = cost(workspace, table)[1] if periods == JUDGED else None
            settings = AnalyticsSettings(against=other.root if other else None, periods=HALF if other else periods)
            return drift(table, settings, times).model_dump(mode="json")

        return self._results.get(key, work)

    def _inputs(self, workspace: Workspace) -> list[str]:
        files = [workspace.samples, workspace.scores, workspace.corrections, workspace.assignments, workspace.ledger]
        files += [*outcome_files(workspace), workspace.analytics / FILE]
        return [f"{path.name} {self._hashes.of(path)}" for path in files]

    def _own(self, workspace: Workspace) -> AnalyticsRecord | None:
        """What the run’s own file has, where it was made of this run alone, from the files that there are now."""
        stage = workspace.last(STAGE, AnalyticsStageRecord)
        if stage is None or stage.parameters.get("against"):
            return None
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in stage.inputs):
            return None
        inputs = dict(stage.inputs)
        if inputs.pop(workspace.corrections.name, "") != read_corrections(workspace.corrections).digest:
            return None
        if any(self._hashes.of(workspace.root / name) != digest for name, digest in inputs.items()):
            return None
        try:
            return AnalyticsRecord.read(workspace.analytics / FILE)
        except UserError:
            return None


def _read_query(studio: Studio, request: Request, query: Address) -> tuple[str, str, str]:
    """The run, the run that its drift is from (or none), and the periods."""
    name = studio.run_name(request)
    source = query.one_of("drift", [*PERIODS, *(f"run:{other}" for other in studio.runs)], HALF)
    against = source.removeprefix("run:") if source.startswith("run:") else ""
    return name, against, HALF if against else source


KNOWN = ("by", "sort", "way", "along", "drift", "again")
"""What the page's address may have."""


def _page(studio: Studio, cache: MeasurementCache, request: Request) -> Response:
    query = Address(request.query_params, KNOWN)
    name, against, periods = _read_query(studio, request, query)
    again = query.flag("again")
    table = studio.tables.of(studio.runs.workspace(name))
    not_yet = standing(table, "scores")
    measurable = table.samples.current and not (not_yet and not_yet.working)
    numbers = cache.numbers(name, again=again) if measurable else Result("")
    record = _record(numbers)
    view = views.read_view(query, record)
    drift_result = _drift(cache, record, name, against, periods, again=again) if record else None
    return studio.render(
        request, "analytics.html.j2", query=query, standing=not_yet, measurable=measurable, of_parts=set(table.notes),
        numbers=numbers, record=record,
        against=against, periods=periods, view=view,
        drift=drift_result, comparisons=_comparisons(drift_result),
        choices=_choices(studio, name, record), address=partial(_address, request), words=words, look=look,
        figures=figures, views=views, titles=TITLES, feature=views.feature,
    )  # fmt: skip


def _record(result: Result) -> AnalyticsRecord | None:
    if result.value is None:
        return None
    return AnalyticsRecord.model_validate({name: result.value[name] for name in AnalyticsRecord.model_fields})


def _drift(
    cache: MeasurementCache, record: AnalyticsRecord, name: str, against: str, periods: str, *, again: bool
) -> Result:
    """That of the numbers themselves where it is the one asked for."""
    settings = record.settings
    if not against and not settings["against"] and settings["periods"] == periods:
        return Result("", record.drift.model_dump(mode="json"))
    return cache.drift(name, against, periods, again=again)


def _comparisons(result: Result | None) -> list[Comparison]:
    return Drift.model_validate(result.value).comparisons if result and result.value else []


def _choices(studio: Studio, name: str, record: AnalyticsRecord | None) -> list[tuple[str, str]]:
    """What drift can be measured from: value and words."""
    periods = [
        (value, title) for value, title in PERIODS.items() if value != JUDGED or (record and record.judging_order)
    ]
    return [*periods, *((f"run:{other}", f"the run {other}") for other in studio.runs if other != name)]


def _address(request: Request, **changes: str | None) -> str:
    """The page's address with some of its query changed; None takes one away."""
    query = {k: v for k, v in request.query_params.items() if k not in changes and k != "again"}
    return "/analytics?" + urlencode(query | {k: v for k, v in changes.items() if v is not None})


def _state(studio: Studio, cache: MeasurementCache, what: str, request: Request) -> Response:
    name, against, periods = _read_query(studio, request, Address(request.query_params, KNOWN))
    result = cache.numbers(name) if what == "numbers" else cache.drift(name, against, periods)
    return JSONResponse({"ended": result.ended, "share": round(result.share, 3) or None, "doing": result.doing})
