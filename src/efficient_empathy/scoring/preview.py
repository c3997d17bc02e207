"""The first requests of a scoring run in full, as they would be sent: nothing is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from efficient_empathy.dialogues import open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import CheckedJudge, JudgeOptions
from efficient_empathy.scoring.judges.registry import build_judge, check_options
from efficient_empathy.scoring.rubric import Rubric

_LONG = ("messages", "system")
"""The fields of a request that are shown as text; all others as JSON."""


class Request(Part):
    """One request. Keys are no part of it: they go into its headers."""

    judge: str
    url: str
    sample_id: str
    body: dict[str, JsonValue]


class Preview(Part):
    """The first requests of each judge that asks an endpoint."""

    sent: bool = False
    requests: tuple[Request, ...]


def preview(
    source: str | Path,
    workspace: Workspace,
    judges: Sequence[str],
    rubric: Rubric,
    options: JudgeOptions,
    reading: ReadingSettings | None = None,
    *,
    count: int = 1,
) -> Preview:
    """The requests about the first `count` samples of `source`, by each judge. Writes nothing and sends nothing.

    Raises `UserError` where no judge makes a request.
    """
    check_options(judges, options)
    built = [build_judge(one, rubric, workspace, options, source) for one in judges]
    asking = [judge for judge in built if judge.endpoint is not None and judge.request is not None]
    if not asking:
        names = " and ".join(judge.name for judge in built)
        raise UserError(
            f"there is no prompt to show, since {names} makes no request: name a judge such as openai:MODEL"
        )
    return Preview(requests=tuple(_requests(source, asking, reading, count)))


def _requests(
    source: str | Path, judges: Sequence[CheckedJudge], reading: ReadingSettings | None, count: int
) -> Iterator[Request]:
    for judge in judges:
        for sample in islice(open_source(source, reading), count):
            body = json.loads(json.dumps(judge.endpoint.body(**judge.request(sample))))
            yield Request(judge=judge.name, url=judge.endpoint.url, sample_id=sample.id, body=body)


def preview_text(result: Preview) -> str:
    """The requests, to be read in a terminal."""
    lines: list[str] = []
    for number, request in enumerate(result.requests, 1):
        lines.append(f"Request {number} of {len(result.requests)}: POST {request.url}")
        lines += _body_lines(request.body)
    return "\n".join([*lines, "Nothing was sent."])


def _body_lines(body: dict[str, JsonValue]) -> Iterator[str]:
    messages = body.get("messages")
    system = body.get("system")
    if system is not None:
        yield f"\n[system]\n{_text(system)}"
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            yield f"\n[{message.get('role')}]\n{_text(message.get('content'))}"
    others = {name: value for name, value in body.items() if name not in _LONG}
    yield "\n[parameters]\n" + "\n".join(f"{name}: {_text(value)}" for name, value in others.items()) + "\n"


def _text(content: JsonValue) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
