"""Owners and annotators who speak HTTP to a running studio."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any

from efficient_empathy.evaluation.ratings.questions import Task
from rated_runs import asking

SETUP = {"name": "main", "models": ["moe", "base"], "raters": ["ann", "bo"], "samples": 2}


class Asking:
    """One client with its cookies."""

    def __init__(self, url: str) -> None:
        self.address = urllib.parse.urlsplit(url).netloc
        self.cookies: dict[str, str] = {}

    def ask(self, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of an answer; a `body` is sent as JSON by POST."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Origin": f"http://{self.address}", "X-Studio": "1"}
        sent = None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection(self.address, timeout=20)
        try:
            connection.request("GET" if body is None else "POST", path, sent, headers)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.split(";")[0].partition("=")
                self.cookies[name] = value.strip('"')
            return answer.status, answer.read()
        finally:
            connection.close()

    def told(self, path: str, body: Any = None) -> Any:
        """The JSON of an answer that must be well."""
        status, content = self.ask(path, body)
        assert status == 200, content
        return json.loads(content)


class Annotator(Asking):
    """Someone who came by a link."""

    def __init__(self, url: str, link: str) -> None:
        super().__init__(url)
        self.status, self.page = self.ask(link)

    def rate(self, task: dict[str, Any], question: str, value: str, submission: str) -> tuple[int, bytes]:
        """Send one answer."""
        body = {"item": task["item"], "question": question, "value": value, "milliseconds": 900}
        return self.ask("/api/rate/answer", body | {"submission": submission})

    def rate_all(self, value: Callable[[dict[str, Any], str], str], places: Sequence[int] | None = None) -> int:
        """Answer every question of the tasks at `places` (all by default); how many answers that were."""
        start, sent = self.told("/api/rate/start"), 0
        for place in places or range(1, start["total"] + 1):
            task = self.told(f"/api/rate/task?place={place}")
            for one in start["questions"][task["task"]]:
                name = one["name"]
                assert self.rate(task, name, value(task, name), f"{name}-{task['item']}")[0] == 200
                sent += 1
        return sent


def questions(tasks: Sequence[Task], name: str = "paper") -> dict[str, Any]:
    """The questions of a bundled questionnaire for these tasks alone, as the form sends them."""
    return asking(tasks, name).model_dump(mode="json")


def set_up(url: str, **changed: Any) -> tuple[Asking, dict[str, Any]]:
    """A rating that was set up: the owner, and the study as the page has it."""
    owner = Asking(url)
    study = owner.told("/api/rate/studies", SETUP | changed)["study"]
    return owner, the(owner, study)


def the(owner: Asking, study: str) -> dict[str, Any]:
    """A study as the owner's page has it now."""
    return next(one for one in owner.told("/api/rate/studies")["studies"] if one["id"] == study)
