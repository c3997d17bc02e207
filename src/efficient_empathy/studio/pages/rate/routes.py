"""The page Rate: the owner sets up ratings and watches; whoever comes by a link rates, and sees nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.evaluation.ratings.questions import (
    BUNDLED,
    Questionnaire,
    load_questionnaire,
    parse_questionnaire,
)
from efficient_empathy.evaluation.ratings.record import RESULTS, RatingsRecord, study_folder, study_names, write_key
from efficient_empathy.evaluation.ratings.results import Resampling
from efficient_empathy.evaluation.ratings.stage import delete_study
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.chat.turns import waiting
from efficient_empathy.studio.pages.rate.annotators import Annotators, blind
from efficient_empathy.studio.pages.rate.lacking import read_setup
from efficient_empathy.studio.pages.rate.results import Format, export, finish, live, results_of
from efficient_empathy.studio.pages.rate.shown import shown_results
from efficient_empathy.studio.pages.rate.store import RatingStore, Stores, Study
from efficient_empathy.studio.pages.rate.tasks import (
    Answer,
    Closing,
    Deletion,
    Drawing,
    LinkChange,
    QuestionnaireText,
    Setup,
    Undoing,
    as_shown,
    draw,
    rateable,
    reading_minutes,
    start_of,
)
from efficient_empathy.studio.pages.samples.filters import filtered_ids, saved_filters
from efficient_empathy.studio.pages.samples.routes import SampleData
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.bodies import read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.links import Link
from efficient_empathy.studio.server.security import owner_only

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "sheets": "application/zip",
    "key": "application/json",
}
KNOWN = ("filter",)
"""What the page's address may have."""
FILES = {"sheets": "sheets.zip", "key": "key.json"}
"""What a download is called that is no table of answers."""


class Owner:
    """What the owner does."""

    def __init__(self, studio: Studio, stores: Stores) -> None:
        self._studio, self._stores = studio, stores
        self._samples = SampleData(studio.tables, studio.selections)
        self._live: dict[str, tuple[int, dict[str, Any]]] = {}

    def overview(self, request: Request) -> dict[str, Any]:
        """What can be rated, here and in the chat, and every study with its raters, links, progress and agreement."""
        workspace = self._studio.run(request)
        store = self._stores.of(workspace)
        studies = store.studies() if store else []
        links = {link.id: link for link in self._studio.links.of(workspace.root)}
        here = {study.name for study in studies}
        return {
            "models": rateable(workspace),
            "chat": waiting(workspace),
            "filters": [name for name, _ in saved_filters(workspace)],
            "now": time.time(),
            "studies": [self._study_record(workspace, store, study, links) for study in studies if store],
            "sheets": [_sheets_record(workspace, name) for name in study_names(workspace) if name not in here],
        }

    def set_up(self, request: Request, setup: Setup) -> dict[str, Any]:
        """Draw a design, keep it, and make its links."""
        workspace = self._studio.run(request)
        if setup.name.casefold() in map(str.casefold, study_names(workspace)):
            raise UserError(f"there is a study {setup.name} already: take another name")
        drawing = self._draw(workspace, setup)
        store = self._stores.open_or_make(workspace)
        study = store.add_study(drawing, setup.model_dump() | {"left_out": drawing.left_out})
        write_key(drawing.key, study_folder(workspace, setup.name))
        for rater in store.raters(study):
            store.give_link(rater, self._studio.links.issue(workspace.root, rater.name, days=setup.days).id)
        return {"study": study}

    def preview(self, request: Request, content: bytes) -> dict[str, Any]:
        """What raters would get of a set-up, drawn and not kept: how much it is, instructions, a task of each kind.

        Of a form that is half filled in what is `missing`, a sentence.
        """
        workspace, setup = self._studio.run(request), read_setup(content)
        if isinstance(setup, str):
            return {"missing": setup}
        try:
            drawing = self._draw(workspace, setup)
        except UserError as error:
            return {"missing": f"{error}"}
        asked = drawing.key.questionnaire
        counts = [len(tasks) for tasks in drawing.tasks.values()]
        minutes = [reading_minutes(tasks, asked) for tasks in drawing.tasks.values()]
        every = next(iter(drawing.tasks.values()))
        examples = [next((one for one in every if one.task == task), None) for task in asked.tasks]
        return {
            "tasks": [min(counts), max(counts)],
            "minutes": [min(minutes), max(minutes)],
            "samples": len(drawing.key.dialogues),
            "left_out": drawing.left_out,
            **start_of(asked, asked.tasks),
            "examples": [as_shown(task) for task in examples if task],
        }

    def _draw(self, workspace: Workspace, setup: Setup) -> Drawing:
        of_run = setup.filter and setup.source == "run"
        return draw(workspace, setup, filtered_ids(self._samples, workspace, setup.filter) if of_run else None)

    def questionnaires(self, _: Request) -> dict[str, Any]:
        """The bundled questionnaires, to choose from and to begin with."""
        return {"questionnaires": [_questionnaire_record(load_questionnaire(name)) for name in BUNDLED]}

    def import_questionnaire(self, _: Request, content: QuestionnaireText) -> dict[str, Any]:
        """A questionnaire from YAML, as the form has it."""
        return _questionnaire_record(parse_questionnaire(content.text))

    def export_questionnaire(self, _: Request, questionnaire: Questionnaire) -> dict[str, Any]:
        """A questionnaire of the form as YAML."""
        return {"text": questionnaire.yaml_text()}

    def delete(self, request: Request, deletion: Deletion) -> dict[str, Any]:
        """Delete a study with all that was rated and what it came to; its links open nothing any more."""
        if deletion.typed.strip() != deletion.name:
            raise UserError(f"that is not the study's name: type {deletion.name} to delete it with all ratings")
        workspace = self._studio.run(request)
        store = self._stores.of(workspace)
        study = next((one for one in store.studies() if one.name == deletion.name), None) if store else None
        if study is None and deletion.name not in study_names(workspace):
            raise UserError("this run has no such study: choose one from the list")
        if store and study:
            for rater in store.raters(study.id):
                if rater.link:
                    self._studio.links.revoke(rater.link)
            store.delete_study(study.id)
        delete_study(workspace, deletion.name)
        return {}

    def change_link(self, request: Request, change: LinkChange) -> dict[str, Any]:
        """Withdraw a rater's link; `renew` gives another, with which they go on where they were."""
        workspace, store, study = self._study(request, change.study)
        rater = store.rater(study.id, change.rater)
        if rater.link:
            self._studio.links.revoke(rater.link)
        if change.action == "renew":
            link = self._studio.links.issue(workspace.root, rater.name, days=change.days)
            store.give_link(rater, link.id)
        return {}

    def close(self, request: Request, closing: Closing) -> dict[str, Any]:
        """Finish a study, which writes the run's results; or let its raters go on."""
        workspace, store, study = self._study(request, closing.study)
        if closing.action == "reopen":
            store.close_study(study.id, closed=False)
        elif closing.action == "close":
            store.close_study(study.id, closed=True)
        else:
            finish(workspace, store, study, Resampling(closing.resamples))
        return {}

    def export(self, request: Request) -> Response:
        """The answers of a study as a file."""
        _, store, study = self._study(request, request.query_params.get("study", ""))
        kind = request.query_params.get("format", "csv")
        if kind not in MEDIA:
            raise UserError(f"there is no format {kind!r}: take one of {', '.join(MEDIA)}")
        file_format: Format = kind  # type: ignore[assignment]
        name = f"{study.name}-{FILES.get(kind, f'answers.{kind}')}".replace(" ", "-")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        return Response(export(store, study, file_format), media_type=MEDIA[kind], headers=headers)

    def _study(self, request: Request, study: str) -> tuple[Workspace, RatingStore, Study]:
        workspace = self._studio.run(request)
        store = self._stores.of(workspace)
        if store is None:
            raise UserError("nothing is rated in this run yet: set up a rating first")
        return workspace, store, store.study(study)

    def _study_record(
        self, workspace: Workspace, store: RatingStore, study: Study, links: dict[str, Link]
    ) -> dict[str, Any]:
        last = store.last(study.id)
        if self._live.get(study.id, (-1, {}))[0] != last:
            self._live[study.id] = last, live(store, study)
        standing = self._live[study.id][1]
        progress, people = store.progress_of_all(study.id), {one["name"]: one for one in standing["raters"]}
        results = results_of(workspace, study)
        return {
            "id": study.id,
            "name": study.name,
            "made_at": study.made_at,
            "closed_at": study.closed_at,
            "setup": {**study.setup, "questionnaire": study.key.questionnaire.name},
            "questions": {
                task: [one.name for one in study.key.questionnaire.questions(task)]
                for task in study.key.questionnaire.tasks
            },
            "samples": len(study.key.dialogues),
            "answers": standing["answers"],
            "agreement": standing["agreement"],
            "raters": [
                {**people[one.name], **progress[one.name], "seen_at": one.seen_at, **_link(links.get(one.link or ""))}
                for one in store.raters(study.id)
            ],
            "results": shown_results(results) if results else None,
        }


def _sheets_record(workspace: Workspace, name: str) -> dict[str, Any]:
    """A study of sheets, which the studio did not set up: its results alone."""
    try:
        record = RatingsRecord.read_if_there(study_folder(workspace, name) / RESULTS)
    except UserError as error:
        return {"name": name, "results": None, "problem": str(error)}
    return {"name": name, "results": shown_results(record) if record else None, "problem": None}


def _questionnaire_record(questionnaire: Questionnaire) -> dict[str, Any]:
    return questionnaire.model_dump(mode="json")


def _link(link: Link | None) -> dict[str, Any]:
    """A rater's link for their row: none where it was made by another studio, or withdrawn."""
    if link is None or link.revoked_at is not None:
        return {"link": None, "expires_at": None}
    return {"link": link.path if link.works else None, "expires_at": link.expires_at}


def routes(studio: Studio) -> list[BaseRoute]:
    """The page, the owner's requests and the annotators'."""
    stores = Stores()
    owner, annotators = Owner(studio, stores), Annotators(studio, stores)

    def page(request: Request) -> Response:
        if studio.annotator(request):
            return studio.render(request, "rate_annotator.html.j2", page="rate", run=None)
        workspace = studio.run(request)
        query = Address(request.query_params, KNOWN)
        chosen = query.one_of("filter", [name for name, _ in saved_filters(workspace)], shown="all samples")
        return studio.render(request, "rate.html.j2", page="rate", query=query, filter=chosen)

    def mine(handle: Callable[..., Any]) -> Callable[..., Any]:
        def check_owner(request: Request, *body: Any) -> Any:
            owner_only(studio, request)
            return handle(request, *body)

        return check_owner

    return [
        Route("/rate", page),
        Route("/api/rate/studies", _get(mine(owner.overview))),
        Route("/api/rate/studies", _post(mine(owner.set_up), Setup), methods=["POST"]),
        Route("/api/rate/preview", _post(mine(owner.preview), None), methods=["POST"]),
        Route("/api/rate/questionnaires", _get(mine(owner.questionnaires))),
        Route("/api/rate/import", _post(mine(owner.import_questionnaire), QuestionnaireText), methods=["POST"]),
        Route("/api/rate/yaml", _post(mine(owner.export_questionnaire), Questionnaire), methods=["POST"]),
        Route("/api/rate/delete", _post(mine(owner.delete), Deletion), methods=["POST"]),
        Route("/api/rate/links", _post(mine(owner.change_link), LinkChange), methods=["POST"]),
        Route("/api/rate/close", _post(mine(owner.close), Closing), methods=["POST"]),
        Route("/api/rate/export", mine(owner.export)),
        Route("/api/rate/start", _get(blind(annotators.start))),
        Route("/api/rate/task", _get(blind(annotators.task))),
        Route("/api/rate/answer", _post(blind(annotators.answer), Answer), methods=["POST"]),
        Route("/api/rate/undo", _post(blind(annotators.undo), Undoing), methods=["POST"]),
    ]


def _get(handle: Callable[[Request], Any]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return JSONResponse(handle(request))

    return endpoint


def _post(handle: Callable[..., Any], model: type[BaseModel] | None) -> Callable[[Request], Any]:
    """`handle` with a request's body as `model`, or with its bytes where that is None."""

    async def endpoint(request: Request) -> Response:
        content = await request.body()
        body = content if model is None else read_body(model, content)
        return JSONResponse(await run_in_threadpool(handle, request, body))

    return endpoint
