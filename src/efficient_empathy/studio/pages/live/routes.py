"""The live page: its events, which all who watch a run share, and the buttons that stop scoring and go on."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.live.control import Control
from efficient_empathy.studio.pages.live.observation import Cell, Frame, Observation, Observer, SeenJudgement
from efficient_empathy.studio.pages.live.standing import is_waited_for
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.jobs import Jobs

LOOK_EVERY_S = 0.5
COMMENT_EVERY_S = 10.0
MOST_MESSAGES = 300
"""Messages that a reader who lost the connection can still be given; one who missed more begins anew."""


class Message(Frame):
    """A frame, the cells that have changed, each with its count, and the judgements that are new.

    With `whole` it has all cells and the last judgements, and replaces what was known.
    """

    whole: bool
    problem: str
    cells: tuple[tuple[int, int, int, int, int], ...]
    recent: tuple[SeenJudgement, ...]


class Watches:
    """The runs that are, or were, watched."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._watches: dict[Path, Watch] = {}

    def of(self, workspace: Workspace) -> Watch:
        """The one that all watchers of a run share."""
        if workspace.root not in self._watches:
            self._watches[workspace.root] = Watch(workspace, self._jobs)
        return self._watches[workspace.root]


class Watch:
    """What there is to see of one run; it is looked at only while someone watches. Messages are numbered."""

    def __init__(self, workspace: Workspace, jobs: Jobs) -> None:
        self.control = Control(workspace, jobs)
        self.watchers = 0
        self.looks = 0
        self._observer = Observer(workspace, self.control)
        self._observation: Observation | None = None
        self._problem = ""
        self._name = secrets.token_hex(4)
        self._number = 0
        self._messages: deque[tuple[int, str]] = deque(maxlen=MOST_MESSAGES)
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def events(self, last_id: str = "") -> AsyncIterator[str]:
        """Server-sent events: what was missed since `last_id`, or the whole; then what changes, and comments between.

        The looking begins with the first reader and ends with the last.
        """
        self.watchers += 1
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._keep_looking())
            last = self._number_of(last_id)
            while True:
                if self._number and (last is None or self._is_forgotten(last)):
                    last = self._number
                    yield self._text(self._whole())
                for number, text in list(self._messages):
                    if last is not None and number > last:
                        last = number
                        yield text
                try:
                    async with asyncio.timeout(COMMENT_EVERY_S), self._news:
                        while self._number <= (last or 0):
                            await self._news.wait()
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self.watchers -= 1
            if self.watchers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _keep_looking(self) -> None:
        failures = 0
        while True:
            try:
                observation, problem = await asyncio.to_thread(self._observer.look), ""
                failures = 0
            except UserError as error:
                failures += 1
                if failures == 1:  # a ledger that is just being made is none for a moment
                    await asyncio.sleep(LOOK_EVERY_S)
                    continue
                observation, problem = self._observation or self._observer.nothing(), str(error)
            self.looks += 1
            await self._show(observation, problem)
            await asyncio.sleep(0 if observation.behind else LOOK_EVERY_S)

    async def _show(self, observation: Observation, problem: str) -> None:
        before, self._observation = self._observation, observation
        same_problem, self._problem = problem == self._problem, problem
        if (
            before is None
            or before.spec != observation.spec
            or sum(observation.cells.values()) < sum(before.cells.values())
        ):
            message = self._whole()
        else:
            if observation == before and same_problem:
                return
            cells = {cell: n for cell, n in observation.cells.items() if before.cells.get(cell) != n}
            last = before.recent[-1].number if before.recent else 0
            message = self._message(observation, cells, [one for one in observation.recent if one.number > last])
        async with self._news:
            self._number += 1
            self._messages.append((self._number, self._text(message)))
            self._news.notify_all()

    def _whole(self) -> Message:
        assert self._observation is not None
        return self._message(self._observation, self._observation.cells, self._observation.recent, whole=True)

    def _message(
        self,
        observation: Observation,
        cells: Mapping[Cell, int],
        recent: Sequence[SeenJudgement],
        *,
        whole: bool = False,
    ) -> Message:
        return Message(
            **dict(observation.frame),
            whole=whole,
            problem=self._problem,
            cells=tuple((*cell, count) for cell, count in cells.items()),
            recent=tuple(recent),
        )

    def _text(self, message: Message) -> str:
        return f"id: {self._name}-{self._number}\nevent: look\ndata: {message.model_dump_json()}\n\n"

    def _number_of(self, last_id: str) -> int | None:
        """The number in an id of ours; None for any other."""
        name, _, number = last_id.partition("-")
        is_ours = name == self._name and number.isascii() and number.isdigit() and int(number) <= self._number
        return int(number) if is_ours else None

    def _is_forgotten(self, number: int) -> bool:
        """Whether the message after that one is kept no more."""
        return bool(self._messages) and number + 1 < self._messages[0][0]


KNOWN = ("right", "up")
"""What the page's address may have."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/live`, and below `/api/live/`: `events`, and by POST `stop` and `go-on`; all of `?run=NAME`."""
    watches = Watches(studio.jobs)

    async def page(request: Request) -> Response:
        workspace, query = studio.run(request), Address(request.query_params, KNOWN)
        watches.of(workspace)
        with suppress(UserError):
            if names := studio.tables.of(workspace).axis_names:
                query.one_of("right", names)
                query.one_of("up", names)
        return studio.render(request, "live.html.j2", query=query)

    async def events(request: Request) -> Response:
        watch = watches.of(studio.run(request))
        last_id = request.headers.get("last-event-id", "")
        return StreamingResponse(watch.events(last_id), media_type="text/event-stream")

    def stop(request: Request) -> Response:
        watches.of(studio.run(request)).control.stop()
        return JSONResponse({"stopping": True})

    def go_on(request: Request) -> Response:
        watches.of(studio.run(request)).control.go_on()
        return JSONResponse({"starting": True})

    return [
        Route("/live", page),
        Route("/api/live/events", events),
        Route("/api/live/standing", lambda request: JSONResponse(is_waited_for(studio.run(request)))),
        Route("/api/live/stop", stop, methods=["POST"]),
        Route("/api/live/go-on", go_on, methods=["POST"]),
    ]
