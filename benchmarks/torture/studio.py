"""The studio, killed while ratings are posted: what it has confirmed is there afterwards, and nothing twice."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sqlite3
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from benchmarks.torture import forks
from benchmarks.torture.comparison import problems

NAME, START = "studio", "generate others"
"""What the table calls it, and the stage that leaves the run that is rated."""
SETUP = {"models": ["moe", "base"], "raters": ["ann"], "samples": 2}
_GONE = (OSError, http.client.HTTPException)


class Client:
    """A browser: cookies, JSON."""

    def __init__(self, url: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._cookies: dict[str, str] = {}
        self.ask(urllib.parse.urlunsplit(urllib.parse.urlsplit(url)._replace(scheme="", netloc="")) or "/")

    def ask(self, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of an answer; a `body` is posted as JSON."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Origin": f"http://{self._address}", "X-Studio": "1"}
        with closing(http.client.HTTPConnection(self._address, timeout=20)) as connection:
            connection.request("GET" if body is None else "POST", path, body and json.dumps(body), headers)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.split(";")[0].partition("=")
                self._cookies[name] = value.strip('"')
            return answer.status, answer.read()

    def json(self, path: str, body: Any = None) -> Any:
        """The JSON of an answer that must be well."""
        status, content = self.ask(path, body)
        if status != 200:
            raise http.client.HTTPException(f"{path}: {status} {content[:200]!r}")
        return json.loads(content)


class Ratings:
    """A study in the studio of one run: what was sent, and what was confirmed."""

    def __init__(self) -> None:
        self.confirmed: set[str] = set()
        self.study = ""

    def go(self, url: str) -> int:
        """Set the study up unless it is, and answer all of it; how many answers that are."""
        owner, sent = Client(url), 0
        studies = owner.json("/api/rate/studies")["studies"]
        if not studies:
            owner.json("/api/rate/studies", SETUP)
            studies = owner.json("/api/rate/studies")["studies"]
        for rater in studies[0]["raters"]:
            annotator = Client(urllib.parse.urljoin(url, rater["link"]))
            begun = annotator.json("/api/rate/start")
            for place in range(1, begun["total"] + 1):
                task = annotator.json(f"/api/rate/task?place={place}")
                for question in begun["questions"][task["task"]]:
                    submission = f"{question['name']}-{task['item']}"
                    value = "3" if task["task"] == "likert" else "left"
                    answer = {"item": task["item"], "question": question["name"], "value": value, "milliseconds": 9}
                    annotator.json("/api/rate/answer", {**answer, "submission": submission})
                    self.confirmed.add(submission)
                    sent += 1
        return sent


def torture(
    fresh: Callable[[], dict[str, object]], folder: Path, todo: Sequence[int], seed: int,
    keep: Callable[[int, str, list[str]], None],
) -> None:  # fmt: skip
    """Kill the studio at moments (even numbers) and times (odd ones) while a rater works, and start it again."""
    root, log = folder / "root", folder / "log"
    places = fresh()
    began = time.monotonic()
    ratings, pid = Ratings(), _start(places, root, log)
    count = ratings.go(_url(pid, log))
    _stop(pid)
    moments, seconds = forks.moments_in(log), time.monotonic() - began
    for number in todo:
        draw = random.Random(f"{seed} studio {number}")
        at = draw.randint(1, len(moments)) if number % 2 == 0 else 0
        after = draw.uniform(0.0, seconds)
        places, ratings = fresh(), Ratings()
        pid = _start(places, root, log, kill_at=at)
        until = time.monotonic() + after
        killer = os.fork() if not at else 0
        if not at and not killer:
            time.sleep(max(0.0, until - time.monotonic()))
            os.kill(pid, signal.SIGKILL)
            os._exit(0)
        with suppress(*_GONE):
            ratings.go(_url(pid, log))
        if killer:
            os.waitpid(killer, 0)
        else:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        forks.wait(pid, time.monotonic() + 20)
        keep(
            number,
            moments[at - 1] if at else f"{after:.3f} s of {seconds:.3f} s",
            _again(places, root, log, ratings, count),
        )


def _again(places: dict[str, object], root: Path, log: Path, ratings: Ratings, count: int) -> list[str]:
    """Start the studio again and finish the study; what is wrong then."""
    confirmed = set(ratings.confirmed)
    pid = _start(places, root, log)
    faults = []
    try:
        url = _url(pid, log)
        if lost := confirmed - set(_submissions(root)):
            faults.append(f"{len(lost)} confirmed ratings are lost")
        if (sent := ratings.go(url)) != count:
            faults.append(f"{sent} questions in place of {count}")
    except _GONE as error:
        faults.append(f"the second studio fails: {error} {forks.said_in(log)[-300:]}")
    _stop(pid)
    submissions = _submissions(root)
    if submissions != dict.fromkeys(ratings.confirmed, 1):
        faults.append(f"{sum(submissions.values())} ratings are kept of {len(ratings.confirmed)}")
    faults += [f"{path.relative_to(root)} is left over" for path in root.rglob(".*.tmp")]
    return faults + problems(root / "run")


def _start(places: dict[str, object], root: Path, log: Path, *, kill_at: int = 0) -> int:
    return forks.start(
        forks.command(["studio", str(places["run"]), "--port", "0", "--no-open", "--json"]), root, log, kill_at=kill_at
    )


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    if forks.wait(pid, time.monotonic() + 20) is None:
        raise RuntimeError("the studio does not end")


def _url(pid: int, log: Path) -> str:
    """The address of a studio that has begun; raises `OSError` where it says none."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for line in forks.said_in(log).splitlines():
            with suppress(ValueError):
                return str(json.loads(line)["url"])
        if ") Z " in Path(f"/proc/{pid}/stat").read_text():
            break
        time.sleep(0.02)
    raise OSError(f"the studio does not begin: {forks.said_in(log)[-300:]}")


def _submissions(root: Path) -> Counter[str]:
    path = root / "run" / "ratings" / "studio.sqlite"
    if not path.exists():
        return Counter()
    with closing(sqlite3.connect(path)) as db, suppress(sqlite3.OperationalError):
        return Counter(row[0] for row in db.execute("SELECT submission FROM ratings"))
    return Counter()
