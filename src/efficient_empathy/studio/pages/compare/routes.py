"""The page that compares runs, rubrics or models, up to four side by side: what differs, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures.charts import Dot, dot_rows
from efficient_empathy.foundation.figures.looks import look
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.prompts.compare.comparison import diff_prompts, shown_pieces
from efficient_empathy.scoring.rubric import Rubric, prompt_text
from efficient_empathy.studio.pages.compare.facts import facts, stages
from efficient_empathy.studio.pages.compare.judged import judge_columns
from efficient_empathy.studio.pages.compare.marks import MarkBody, add_mark, read_marks, tally
from efficient_empathy.studio.pages.compare.models import (
    FigureRow,
    Model,
    figure_rows,
    model_facts,
    models_of,
    shared_answers,
)
from efficient_empathy.studio.pages.compare.reading import Column, choose, read, responders
from efficient_empathy.studio.pages.compare.scores import agreement, read_scores, rubric_facts, rubrics_of
from efficient_empathy.studio.pages.compare.verdicts import by_chance, verdict
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.bodies import read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.results import Hashes, Result, Results, Tell, key_of

MOST = 4
"""Columns."""
LETTERS = "ABCD"
KINDS = {"runs": "Runs", "judges": "Judges", "rubrics": "Rubrics", "models": "Models", "responses": "Responses"}
FIGURES = {
    "exact": ("the same score", "share"),
    "within_one": ("within one", "share"),
    "mean_shift": ("mean shift", "signed"),
    "mean_absolute": ("mean distance", "fixed"),
    "kappa_quadratic": ("κ, quadratic", "fixed"),
    "alpha_ordinal": ("α, ordinal", "fixed"),
    "spearman": ("Spearman’s ρ", "fixed"),
}
"""The figures of agreement: what the page calls them, and how they are written."""
MOST_DOTS = 6
"""Figures of models that are drawn; all are in the tables."""
_VERSION = 4
"""Version of the stored results: raise it when their content changes."""


def routes(studio: Studio) -> list[BaseRoute]:
    """The page, and how far the comparison of scores is."""
    agreements = Agreements(studio)
    return [
        Route("/compare", partial(_page, studio, agreements)),
        Route("/api/compare/agreement", partial(_state, studio, agreements)),
        Route("/api/compare/mark", partial(_mark, studio), methods=["POST"]),
        Route("/api/compare/marks", partial(_marks, studio)),
    ]


class Agreements:
    """How far runs agree, worked out once for the same files."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._hashes = Hashes()
        self._results = Results(studio.data_folder / "compare")

    def of(self, names: Sequence[str], *, again: bool = False) -> Result:
        """The agreement of these runs, or how far it is."""
        workspaces = [self._studio.runs.workspace(name) for name in names]
        read = [(one.samples, one.scores, one.manifest_path, one.assignments) for one in workspaces]
        key = key_of(_VERSION, names, [[self._hashes.of(path) for path in paths] for paths in read])
        if again:
            self._results.retry(key)

        def work(tell: Tell) -> Mapping[str, Any]:
            tell(0.0, "reading the scores")
            return agreement(
                [read_scores(RunTable(one, as_judged=True), name) for one, name in zip(workspaces, names, strict=True)],
                tell,
            )

        return self._results.get(key, work)


def run_names(studio: Studio, request: Request, query: Address) -> list[str]:
    """The run of the page and those beside it (`with`), each once; by default the next of the studio's runs."""
    first = studio.run_name(request)
    beside = query.some_of("with", studio.runs)
    if "with" not in request.query_params:
        beside = [name for name in studio.runs if name != first][:1]
    return list(dict.fromkeys((first, *beside)))[:MOST]


KNOWN = ("what", "with", "all", "again", "rubric", "model", "find", "page")
"""What the page's address may have."""


def _page(studio: Studio, agreements: Agreements, request: Request) -> Response:
    query = Address(request.query_params, KNOWN)
    what = query.one_of("what", KINDS, "runs")
    names = run_names(studio, request, query)
    everything, again = query.flag("all"), query.flag("again")
    if what == "runs":
        context = _runs(studio, agreements, request, names, again=again)
    elif what == "responses":
        context = _responses(studio, request, query, names, everything=everything)
    elif what == "judges":
        context = _judges(studio, request, query, names, everything=everything)
    else:
        context = {"rubrics": _rubrics, "models": _models}[what](studio, query, names)
    return studio.render(
        request, "compare.html.j2", query=query, what=what, kinds=_kinds(names), letters=LETTERS, everything=everything,
        most=MOST, switch=_switch_address(request, everything), words=words, look=look, **context,
    )  # fmt: skip


def _kinds(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, title and address of the three kinds, each with the same runs."""
    query = [("run", names[0]), *(("with", name) for name in names[1:] or [""])]
    return [(kind, title, "/compare?" + urlencode([*query, ("what", kind)])) for kind, title in KINDS.items()]


def _switch_address(request: Request, everything: bool) -> str:
    """The address of the same comparison that shows all, or only what differs."""
    query = [(k, v) for k, v in request.query_params.multi_items() if k != "all"]
    return "/compare?" + urlencode([*query, *([] if everything else [("all", "1")])])


def _runs(studio: Studio, agreements: Agreements, request: Request, names: list[str], *, again: bool) -> dict[str, Any]:
    sections = facts([studio.runs.workspace(name) for name in names])
    several = len(names) > 1
    result = agreements.of(names, again=again) if several else None
    return {
        "columns": names,
        "choices": [(name, name) for name in studio.runs],
        "sections": [stages(sections), *sections],
        "result": result,
        "reading_address": next(address for kind, _, address in _kinds(names) if kind == "judges"),
        "retry": "/compare?" + urlencode([*request.query_params.multi_items(), ("again", "1")]),
        "figures": FIGURES,
        "verdict": verdict,
        "by_chance": by_chance,
        "shift_dots": _shift_dots(result.value) if result and result.value else [],
        **_prompts(studio, names, [_rubric_of(studio, name) for name in names]),
    }


def _shift_dots(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A figure an axis: by how much each run scores higher than the first; none where all are the same."""
    axes = dict.fromkeys(axis for pair in value["pairs"] for axis in pair["axes"])
    figures = []
    for axis in axes:
        rows = [
            Dot(words.clip(pair["b"], 60), one["value"], (one["low"], one["high"]) if one["low"] is not None else None)
            for pair in value["pairs"]
            if (one := pair["axes"].get(axis, {}).get("mean_shift")) and one["value"] is not None
        ]
        if any(row.value or any(row.interval or ()) for row in rows):
            title = f"Mean shift of {axis} from {words.clip(value['pairs'][0]['a'], 60)}"
            figures.append((axis, dot_rows(title, rows, lambda v: words.signed(v, 2), reference=0.0)))
    return figures


def _rubric_of(studio: Studio, name: str) -> tuple[str, Rubric | None]:
    """The hash of the rubric that a run was scored by, and the rubric where its text is at hand."""
    workspace = studio.runs.workspace(name)
    scoring = studio.tables.of(workspace).scoring
    digest = scoring.rubric.hash if scoring else ""
    return digest, rubrics_of([workspace.root]).get(digest)


def _prompts(studio: Studio, names: Sequence[str], rubrics: Sequence[tuple[str, Rubric | None]]) -> dict[str, Any]:
    """Each rubric's word diff to the first, or a sentence that says why there is none."""
    notes, diffs = [], []
    (first_hash, first), *others = rubrics
    for name, (digest, rubric) in zip(names, rubrics, strict=True):
        if rubric is None:
            what = f"its rubric ({digest[:16]})" if digest else "its rubric"
            notes.append(f"{name}: the text of {what} is not at hand; put its YAML file into the run’s folder.")
    for name, (digest, rubric) in zip(names[1:], others, strict=True):
        if rubric is None or first is None:
            continue
        if digest == first_hash:
            notes.append(f"{name} was asked by the same rubric as {names[0]}.")
        else:
            diffs.append((name, diff_prompts(prompt_text(first), prompt_text(rubric))))
    return {"diffs": diffs, "shown_pieces": shown_pieces, "prompt_notes": notes if len(rubrics) > 1 else []}


def _rubrics(studio: Studio, query: Address, names: list[str]) -> dict[str, Any]:
    by_hash = rubrics_of(studio.runs.workspace(name).root for name in studio.runs)
    used = dict.fromkeys(digest for name in names if (digest := _rubric_of(studio, name)[0]))
    requested = query.some_of("rubric", by_hash)
    by_default = [digest for digest in dict.fromkeys((*used, *by_hash)) if digest in by_hash]
    digests = (requested or by_default[:2])[:MOST]
    rubrics = [by_hash[digest] for digest in digests]
    titles = [_rubric_title(rubric) for rubric in rubrics]
    return {
        "columns": digests,
        "titles": titles,
        "choices": [(digest, _rubric_title(rubric)) for digest, rubric in by_hash.items()],
        "kept_names": names,
        "sections": rubric_facts(rubrics),
        **_prompts(studio, titles, [(rubric.hash, rubric) for rubric in rubrics]),
    }


def _rubric_title(rubric: Rubric) -> str:
    return f"{words.clip(rubric.name, 60)} v{rubric.version} ({rubric.hash[:8]})"


def _models(studio: Studio, query: Address, names: list[str]) -> dict[str, Any]:
    by_key, faults, lacking = models_of((name, studio.runs.workspace(name)) for name in studio.runs)
    keys = query.some_of("model", by_key)[:MOST] or _default_models(by_key, names)
    models = [by_key[key] for key in keys]
    groups = figure_rows(models)
    several_runs = len({model.run for model in models}) > 1
    titles = [f"{model.title} · {model.run}" if several_runs else model.title for model in models]
    return {
        "columns": keys,
        "titles": titles,
        "choices": [(key, f"{model.title} · {model.run}") for key, model in by_key.items()],
        "kept_names": names,
        "sections": model_facts(models) if models else [],
        "groups": groups,
        "dots": _dots(models, titles, groups),
        "answers": shared_answers(models) if len(models) > 1 else None,
        "several_runs": several_runs,
        "faults": faults,
        "lacking": lacking,
    }


def _responses(
    studio: Studio, request: Request, query: Address, names: list[str], *, everything: bool
) -> dict[str, Any]:
    by_key = responders((name, studio.runs.workspace(name)) for name in studio.runs)
    columns = choose(by_key, query.some_of("model", by_key), names, MOST)
    return {
        "columns": [one.key for one in columns],
        "choices": [(key, f"{one.name} · {one.run}") for key, one in by_key.items()],
        "kept_names": names,
        **_table(columns, request, query, everything=everything),
    }


def _judges(studio: Studio, request: Request, query: Address, names: list[str], *, everything: bool) -> dict[str, Any]:
    columns, faults = judge_columns([(name, studio.runs.workspace(name)) for name in names])
    return {
        "columns": names,
        "choices": [(name, name) for name in studio.runs],
        "kept_names": names,
        "faults": faults,
        **_table(columns, request, query, everything=everything),
    }


def _table(columns: Sequence[Column], request: Request, query: Address, *, everything: bool) -> dict[str, Any]:
    """What the table to read is drawn from."""
    page, find, reading = query.text("page"), query.text("find")[:200], None
    if columns:
        number = int(page) if page.isascii() and page.isdecimal() and len(page) < 9 else 1
        reading = read(columns, number, everything=everything, find=find)
        query.number("page", 1, 1, reading.pages, whole=True)
    several_runs = len({one.run for one in columns}) > 1
    marks = {one.run: read_marks(one.workspace) for one in columns}

    def address(page: int) -> str:
        rest = [(key, value) for key, value in request.query_params.multi_items() if key != "page"]
        return "/compare?" + urlencode([*rest, ("page", page)])

    return {
        "readers": columns,
        "titles": [f"{one.title} · {one.run}" if several_runs else one.title for one in columns],
        "sections": [],
        "reading": reading,
        "marks": {run: {f"{sample}\n{name}": mark for (sample, name), mark in of.items()} for run, of in marks.items()},
        "tallies": {run: tally(of) for run, of in marks.items()},
        "find": find,
        "address": address,
    }


async def _mark(studio: Studio, request: Request) -> Response:
    body, workspace = read_body(MarkBody, await request.body()), studio.run(request)
    await run_in_threadpool(add_mark, workspace, body)
    return JSONResponse({})


def _marks(studio: Studio, request: Request) -> Response:
    lines = "".join(mark.model_dump_json() + "\n" for mark in read_marks(studio.run(request)).values())
    headers = {"Content-Disposition": 'attachment; filename="reading.jsonl"'}
    return Response(lines, media_type="application/x-ndjson", headers=headers)


def _default_models(by_key: Mapping[str, Model], names: Sequence[str]) -> list[str]:
    """The models of the chosen runs, in turn."""
    by_run = [[key for key, model in by_key.items() if model.run == name] for name in names]
    longest = max((len(keys) for keys in by_run), default=0)
    return [keys[i] for i in range(longest) for keys in by_run if i < len(keys)][:MOST]


def _dots(models: Sequence[Model], titles: Sequence[str], groups: Mapping[str, list[FigureRow]]) -> list[Any]:
    """The most telling figures, drawn."""
    by_name = {row.name: row for rows in groups.values() for row in rows}
    telling = [name for model in models for name in model.evaluation.charted_figures]
    names = [name for name in dict.fromkeys(telling) if name in by_name][:MOST_DOTS]
    figures = []
    for name in names:
        row = by_name[name]
        rows = [
            Dot(title, number, interval, value.best)
            for title, number, interval, value in zip(titles, row.numbers, row.intervals, row.values, strict=True)
            if number is not None
        ]
        title, format_value = f"{words.clip(name, 40)} by model", words.fixed_format(row.digits)
        figures.append((row, dot_rows(title, rows, format_value, bounds=row.bounds)))
    return figures


def _state(studio: Studio, agreements: Agreements, request: Request) -> Response:
    result = agreements.of(run_names(studio, request, Address(request.query_params, KNOWN)))
    return JSONResponse({"ended": result.ended, "share": round(result.share, 3), "doing": result.doing})
