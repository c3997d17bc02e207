"""What raters do on the page Rate: begin, read a task, answer, take back. It tells them nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from efficient_empathy.evaluation.ratings.questions import TASKS
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.rate.store import Rater, Rating, RatingStore, Stores
from efficient_empathy.studio.pages.rate.tasks import Answer, Undoing, as_shown, check_value, start_of
from efficient_empathy.studio.server.context import Studio

log = logging.getLogger(__name__)
CLOSED_MESSAGE = "This rating is closed: what you rated is kept. Thank you."


class Annotators:
    """What annotators do. Nothing that leaves here names a model, a run or another rater."""

    def __init__(self, studio: Studio, stores: Stores) -> None:
        self._studio, self._stores = studio, stores

    def start(self, request: Request) -> dict[str, Any]:
        """How far the annotator is, and what they are asked."""
        store, rater, is_closed = self._who(request)
        key = store.key(rater.study)
        items = next(sheet.items for sheet in key.sheets if sheet.rater == rater.name)
        tasks = [task for task in TASKS if any(one.task == task for one in items.values())]
        return {"closed": is_closed, **start_of(key.questionnaire, tasks), **store.progress(rater)}

    def task(self, request: Request) -> dict[str, Any]:
        """One task with the annotator's own answers so far."""
        store, rater, is_closed = self._who(request)
        if is_closed:
            raise HTTPException(410, CLOSED_MESSAGE)
        place = request.query_params.get("place", "")
        task = store.task(rater, int(place)) if place.isascii() and place.isdigit() and len(place) < 9 else None
        if task is None:
            raise HTTPException(404, "There is no such task: open your link again.")
        return {**as_shown(task), "answers": store.answers_to(rater, task.item), **store.progress(rater)}

    def answer(self, request: Request, answer: Answer) -> dict[str, Any]:
        """Keep an answer; when this returns, it is on the disk."""
        store, rater, is_closed = self._who(request)
        if is_closed:
            raise HTTPException(410, CLOSED_MESSAGE)
        task = store.task_of(rater, answer.item)
        if task is None:
            raise HTTPException(404, "That is none of your tasks: reload the page.")
        try:
            check_value(task.task, answer.question, answer.value, store.key(rater.study).questionnaire)
        except UserError as error:
            raise HTTPException(400, str(error)) from error
        store.rate(rater, Rating(**answer.model_dump()))
        return store.progress(rater)

    def undo(self, request: Request, undoing: Undoing) -> dict[str, Any]:
        """Take back the last answer that stands; `place` is where, null where there is none."""
        store, rater, is_closed = self._who(request)
        if is_closed:
            raise HTTPException(410, CLOSED_MESSAGE)
        return {"place": store.undo(rater, undoing.submission)}

    def _who(self, request: Request) -> tuple[RatingStore, Rater, bool]:
        annotator = self._studio.annotator(request)
        store = self._stores.of(self._studio.run(request)) if annotator else None
        rater = store.rater_of(annotator.link) if store and annotator else None
        if store is None or rater is None:
            raise HTTPException(403, "Only a rater's link opens this: ask for one.")
        return store, *rater


def blind(handle: Callable[..., Any]) -> Callable[..., Any]:
    """`handle` for annotators: what is wrong with the run's files, which may name models, only the log says."""

    def handle_blind(request: Request, *body: Any) -> Any:
        try:
            return handle(request, *body)
        except UserError as error:
            log.error("a rater was turned away: %s", error)
            raise HTTPException(503, "The rating cannot be used right now: tell whoever sent you the link.") from error

    return handle_blind
