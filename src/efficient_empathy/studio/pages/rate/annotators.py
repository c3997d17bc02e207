"""What annotators do on the page Rate: read a task, answer, take back. They are blind, and each alone."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.studio.pages.rate.bodies import TASKS, Answer, Undoing
from efficient_empathy.studio.pages.rate.schema import Rater, Rating
from efficient_empathy.studio.pages.rate.store import RatingStore
from efficient_empathy.studio.pages.rate.stores import Stores
from efficient_empathy.studio.pages.rate.tasks import as_shown, check_value, questions_of
from efficient_empathy.studio.server.context import Studio

CLOSED = "This rating is closed: what you rated is kept. Thank you."


class Annotators:
    """What annotators do. Nothing that leaves here names a model, a run or another rater."""

    def __init__(self, studio: Studio, stores: Stores) -> None:
        self._studio, self._stores = studio, stores

    def start(self, request: Request) -> dict[str, Any]:
        """How far the annotator is, and what they are asked."""
        store, rater, closed = self._who(request)
        key = store.key(rater.study)
        items = next(sheet.items for sheet in key.sheets if sheet.rater == rater.name)
        tasks: list[Task] = [task for task in TASKS if any(one.task == task for one in items.values())]
        asked = {task: [vars(one) for one in questions_of(task, key.questions)] for task in tasks}
        return {"closed": closed, "questions": asked, **store.progress(rater)}

    def task(self, request: Request) -> dict[str, Any]:
        """One task with the annotator's own answers so far."""
        store, rater, closed = self._who(request)
        if closed:
            raise HTTPException(410, CLOSED)
        place = request.query_params.get("place", "")
        task = store.task(rater, int(place)) if place.isascii() and place.isdigit() and len(place) < 9 else None
        if task is None:
            raise HTTPException(404, "There is no such task: open your link again.")
        return {**as_shown(task), "answers": store.answers_to(rater, task.item), **store.progress(rater)}

    def answer(self, request: Request, answer: Answer) -> dict[str, Any]:
        """Keep an answer; when this returns, it is on the disk."""
        store, rater, closed = self._who(request)
        if closed:
            raise HTTPException(410, CLOSED)
        task = store.task_of(rater, answer.item)
        if task is None:
            raise HTTPException(404, "That is none of your tasks: reload the page.")
        check_value(task.task, answer.question, answer.value, store.key(rater.study).questions)
        store.rate(rater, Rating(**answer.model_dump()))
        return store.progress(rater)

    def undo(self, request: Request, undoing: Undoing) -> dict[str, Any]:
        """Take back the last answer that stands; `place` is where, null where there is none."""
        store, rater, closed = self._who(request)
        if closed:
            raise HTTPException(410, CLOSED)
        return {"place": store.undo(rater, undoing.submission)}

    def _who(self, request: Request) -> tuple[RatingStore, Rater, bool]:
        annotator = self._studio.annotator(request)
        store = self._stores.of(self._studio.run(request)) if annotator else None
        found = store.rater_of(annotator.link) if store and annotator else None
        if store is None or found is None:
            raise HTTPException(403, "Only a rater's link opens this: ask for one.")
        return store, *found
