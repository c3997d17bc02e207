"""A judge by name. A new judge is a new file and one line here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import unknown
from efficient_empathy.scoring.judgement import Judge
from efficient_empathy.scoring.judges.openai import Decoding
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric

OPENAI_URL = "https://api.openai.com/v1"


Kind = TypeVar("Kind")


@dataclass(frozen=True)
class JudgeOptions:
    """What the judges can be told; each reads what concerns it."""

    model: str | None = None
    """openai: the model's name."""
    base_url: str | None = None
    """openai: the endpoint; $OPENAI_BASE_URL by default."""
    api_key_env: str = "OPENAI_API_KEY"
    """openai: the environment variable that holds the key."""
    decoding: Decoding = field(default_factory=Decoding)
    """openai: how replies are asked for."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """openai: requests in flight at most."""
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """openai: for one request."""
    max_attempts: Annotated[int, Field(ge=1)] = 5
    """openai: tries per request, not counting 429s."""
    max_cost: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    """openai: US dollars that the run's ledger may come to in all."""
    prices: Path | None = None
    """openai: a prices file."""
    replies: Path | None = None
    """replay: judged JSON, a ledger, or a run's folder; the source itself by default."""
    folder: Path | None = None
    """distilled: a folder that `distill` made."""


def judge_options(given: Mapping[str, Any]) -> JudgeOptions:
    """Options from a mapping, those of `Decoding` under their own names too; None is a default.

    Raises `UserError` for a key that is none, and for a value that cannot be one.
    """
    options, decoding = ([field.name for field in fields(kind)] for kind in (JudgeOptions, Decoding))
    for key in given:
        if key not in (*options, *decoding):
            raise UserError(f"the judge's options: {unknown(key, [*options, *decoding])}")
    values = {key: value for key, value in given.items() if value is not None}
    inner = values.pop("decoding", {})
    if isinstance(inner, Decoding):
        inner = asdict(inner)
    if not isinstance(inner, Mapping):
        raise UserError(f"the judge's options: decoding: it must be a mapping of {', '.join(decoding)}")
    for key in inner:
        if key not in decoding:
            raise UserError(f"the judge's options: decoding.{unknown(str(key), decoding)}")
    inner = {**inner, **{key: values.pop(key) for key in decoding if key in values}}
    return _validated(JudgeOptions, {**values, "decoding": _validated(Decoding, inner, "decoding.")})


def _validated(kind: type[Kind], values: Mapping[str, Any], place: str = "") -> Kind:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"the judge's options: {place}{key}: {first['msg']}") from error


def _distilled(rubric: Rubric, workspace: Workspace, options: JudgeOptions) -> Judge:
    from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge

    return DistilledJudge(rubric, options.folder or BUNDLED)


def _openai(rubric: Rubric, workspace: Workspace, options: JudgeOptions) -> Judge:
    from efficient_empathy.llm import Budget, Endpoint, Prices
    from efficient_empathy.scoring.judges.openai import OpenAIJudge

    if not options.model:
        raise UserError(
            "--judge openai needs --model, such as gpt-4o-mini or the name that your server gives its model"
        )
    spent = 0.0
    if workspace.ledger.exists():
        with Ledger(workspace.ledger, read_only=True) as ledger:
            spent = ledger.spent_usd()
    endpoint = Endpoint(
        options.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        options.model,
        api_key=os.environ.get(options.api_key_env),
        key_name=options.api_key_env,
        concurrency=options.concurrency,
        timeout_s=options.timeout_s,
        max_attempts=options.max_attempts,
        budget=Budget(options.max_cost, spent),
        prices=Prices.load(options.prices),
    )
    return OpenAIJudge(endpoint, rubric, options.decoding)


def _replay(rubric: Rubric, workspace: Workspace, options: JudgeOptions) -> Judge:
    from efficient_empathy.scoring.judges.replay import ReplayJudge

    if options.replies is None:
        raise UserError("--judge replay needs --replies: judged JSON, a ledger.sqlite or a run's folder")
    return ReplayJudge.load(options.replies, rubric)


JUDGES: dict[str, Callable[[Rubric, Workspace, JudgeOptions], Judge]] = {
    "distilled": _distilled,
    "openai": _openai,
    "replay": _replay,
}


def make_judge(name: str, rubric: Rubric, workspace: Workspace, options: JudgeOptions | None = None) -> Judge:
    """The judge called `name`; raises `UserError` for an unknown name or for options that do not suffice."""
    if name not in JUDGES:
        raise UserError(f"there is no judge {name!r}: choose one of {', '.join(JUDGES)}")
    return JUDGES[name](rubric, workspace, options or JudgeOptions())


def share_budget(judges: Sequence[Any]) -> None:
    """Let all judges of one run that cost money draw on one budget."""
    endpoints = [judge.endpoint for judge in judges if getattr(judge, "endpoint", None) is not None]
    for endpoint in endpoints:
        endpoint.budget = endpoints[0].budget
