"""A look at a run twice a second, shared by all who watch it, as server-sent events that can be taken up again."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.live.control import Control
from efficient_empathy.studio.pages.live.sight import Looking, Sight

LOOK_EVERY_S = 0.5
COMMENT_EVERY_S = 10.0
KEPT = 300
"""Messages that a reader who lost the connection can still be given; one who missed more begins anew."""


class Watches:
    """The runs that are, or were, watched."""

    def __init__(self) -> None:
        self._known: dict[Path, Watch] = {}

    def of(self, workspace: Workspace) -> Watch:
        """The one that all watchers of a run share."""
        if workspace.root not in self._known:
            self._known[workspace.root] = Watch(workspace)
        return self._known[workspace.root]


class Watch:
    """What there is to see of one run; it is looked at only while someone watches.

    A message has what the run looks like now, the cells of the map that have changed, and the judgements that are new;
    one with `whole` has all cells and the last judgements, and replaces what was known. Messages are numbered.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.control = Control(workspace)
        self.watchers = 0
        self.looks = 0
        self._looking = Looking(workspace, self.control)
        self._sight: Sight | None = None
        self._problem = ""
        self._name = secrets.token_hex(4)
        self._number = 0
        self._messages: deque[tuple[int, str]] = deque(maxlen=KEPT)
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
            sent = self._number_of(last_id)
            while True:
                if self._number and (sent is None or self._forgotten(sent)):
                    sent = self._number
                    yield self._text(self._whole())
                for number, text in list(self._messages):
                    if sent is not None and number > sent:
                        sent = number
                        yield text
                try:
                    async with asyncio.timeout(COMMENT_EVERY_S), self._news:
                        while self._number <= (sent or 0):
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
                sight, problem = await asyncio.to_thread(self._looking.look), ""
                failures = 0
            except UserError as error:
                failures += 1
                if failures == 1:  # a ledger that is just being made is none for a moment
                    await asyncio.sleep(LOOK_EVERY_S)
                    continue
                sight, problem = self._sight or self._looking.nothing(), str(error)
            self.looks += 1
            await self._show(sight, problem)
            await asyncio.sleep(0 if sight.behind else LOOK_EVERY_S)

    async def _show(self, sight: Sight, problem: str) -> None:
        before, self._sight = self._sight, sight
        same_problem, self._problem = problem == self._problem, problem
        if before is None or before.spec != sight.spec or sum(sight.cells.values()) < sum(before.cells.values()):
            told = self._whole()
        else:
            if sight == before and same_problem:
                return
            cells = {cell: n for cell, n in sight.cells.items() if before.cells.get(cell) != n}
            last = before.recent[-1]["number"] if before.recent else 0
            told = self._told(cells, [one for one in sight.recent if one["number"] > last])
        async with self._news:
            self._number += 1
            self._messages.append((self._number, self._text(told)))
            self._news.notify_all()

    def _whole(self) -> dict[str, Any]:
        assert self._sight is not None
        return {**self._told(self._sight.cells, self._sight.recent), "whole": True}

    def _told(self, cells: dict[tuple[int, int], int], recent: list[dict[str, Any]]) -> dict[str, Any]:
        frame = self._sight.frame if self._sight else {}
        listed = [[right, up, count] for (right, up), count in cells.items()]
        return {**frame, "whole": False, "problem": self._problem, "cells": listed, "recent": recent}

    def _text(self, told: dict[str, Any]) -> str:
        return f"id: {self._name}-{self._number}\nevent: look\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"

    def _number_of(self, last_id: str) -> int | None:
        """The number in an id of ours; None for any other."""
        name, _, number = last_id.partition("-")
        known = name == self._name and number.isascii() and number.isdigit() and int(number) <= self._number
        return int(number) if known else None

    def _forgotten(self, number: int) -> bool:
        """Whether the message after that one is kept no more."""
        return bool(self._messages) and number + 1 < self._messages[0][0]
