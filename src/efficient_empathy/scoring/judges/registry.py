"""The registry of judges: from a reference such as `openai:MODEL` to the judge, and the options of all judges.

A new judge is a file and a line in `BUILT_IN`, or a package with an entry point in `ENTRY_POINTS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.plugins import Plugins
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import describe_unknown, load
from efficient_empathy.scoring.judges.contract import (
    Blueprint,
    CheckedJudge,
    Judge,
    JudgeOptions,
    JudgeReference,
    JudgeSettings,
)
from efficient_empathy.scoring.rubric import Rubric

BUILT_IN = {
    "distilled": "efficient_empathy.scoring.judges.distilled:DistilledSettings",
    "openai": "efficient_empathy.scoring.judges.openai:OpenAISettings",
    "anthropic": "efficient_empathy.scoring.judges.anthropic:AnthropicSettings",
    "vllm": "efficient_empathy.scoring.judges.vllm:VLLMSettings",
    "replay": "efficient_empathy.scoring.judges.replay:ReplaySettings",
}
ENTRY_POINTS = "efficient_empathy.judges"
"""The group under which an installed package names its judges: each a subclass of `JudgeSettings`."""

JUDGES: Plugins[type[JudgeSettings]] = Plugins("judge", ENTRY_POINTS, BUILT_IN)


def reference_forms() -> str:
    """How a judge is written in one word, for errors and help."""
    forms = [f"{name}{form}" for name, model in JUDGES.loadable().items() for form in model.FORMS]
    return f"{', '.join(forms[:-1])} or {forms[-1]}"


def settings_of(reference: str | JudgeReference, options: JudgeOptions | None = None) -> tuple[str, JudgeSettings]:
    """The judge's name and settings that a reference stands for: what is in it, and of `options` what it leaves open.

    Of `options` those count that the judge has. Raises `UserError` for what is no reference or no value.
    """
    if isinstance(reference, JudgeReference):
        name, detail = reference.judge, dict(reference.settings)
        if name not in JUDGES:
            raise UserError(f"the judge {name!r} is not installed: install its package, or name another judge")
        model = JUDGES.load(name)
    else:
        name, colon, text = reference.partition(":")
        if name not in JUDGES or (colon and not text):
            raise UserError(f"{redact(reference)!r} names no judge: write {reference_forms()}")
        model = JUDGES.load(name)
        try:
            detail = model.from_detail(text) if text else {}
        except ValueError as error:
            raise UserError(f"the judge {redact(reference)!r} is not valid: {error}") from error
    own = {key: value for key, value in (options or {}).items() if key in model.model_fields and value is not None}
    values = {**own, **detail}
    return name, load(model, None, "the judge's options", flags={key: (key, one) for key, one in values.items()})


def reads_replies(name: str) -> bool:
    """Whether a judge's scores are read from replies in words; so it is assumed of a judge that is not installed."""
    return name not in JUDGES or JUDGES.load(name).READS_REPLIES


def reads_rubric(name: str) -> bool:
    """Whether another rubric could change a judge's answers; so it is assumed of a judge that is not installed."""
    return name not in JUDGES or JUDGES.load(name).READS_RUBRIC


def check_options(references: Sequence[str], options: JudgeOptions) -> None:
    """Raise `UserError` for a reference or an option that is none, and for an option that none of the judges has."""
    valid = {key for reference in references for key in type(settings_of(reference, options)[1]).model_fields}
    for key, value in options.items():
        if key in valid or value is None:
            continue
        every = options_model().model_fields
        if key not in every:
            raise UserError(describe_unknown(key, list(every)))
        owners = [name for name, model in JUDGES.loadable().items() if key in model.model_fields]
        raise UserError(f"{key} is an option of the judge {' or '.join(owners)}, which is not asked: leave it out")


def build_judge(
    judge: str | JudgeReference | Judge,
    rubric: Rubric,
    workspace: Workspace,
    options: JudgeOptions | None = None,
    source: str | Path | None = None,
) -> CheckedJudge:
    """The judge that a reference names, or that an object is, checked against the rubric.

    `workspace` is the folder whose ledger keeps its judgements and its spending; `source` is what is scored. Raises
    `UserError` for what is no reference, and where the judge cannot be had.
    """
    settings = settings_of(judge, options)[1] if isinstance(judge, str | JudgeReference) else judge
    return Blueprint(settings, rubric, None if source is None else Path(source)).build(workspace)


def full_reference(judge: str | JudgeReference | Judge, options: JudgeOptions | None = None) -> JudgeReference | None:
    """What a later call needs to ask the same judge; None for an object. No secret is in it."""
    if not isinstance(judge, str | JudgeReference):
        return None
    name, settings = settings_of(judge, options)
    return JudgeReference(judge=name, settings=settings.resolve().model_dump(mode="json", exclude_defaults=True))


def share_budget(judges: Sequence[CheckedJudge]) -> None:
    """Let all judges of one run that cost money draw on one budget."""
    endpoints = [judge.endpoint for judge in judges if judge.endpoint is not None]
    for endpoint in endpoints:
        endpoint.budget = endpoints[0].budget


class _Options(BaseModel):
    """The options of all judges; each judge reads its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@cache
def options_model() -> type[BaseModel]:
    """The options of all judges as one settings model, each with the names of those that have it before its help."""
    owners: dict[str, list[str]] = {}
    fields: dict[str, Any] = {}
    for name, model in JUDGES.loadable().items():
        for key, field in model.model_fields.items():
            owners.setdefault(key, []).append(name)
            fields.setdefault(key, field)
    options: Mapping[str, Any] = {key: _option_help(field, owners[key]) for key, field in fields.items()}
    return create_model("JudgeOptions", __base__=_Options, **options)


def _option_help(field: Any, owners: list[str]) -> tuple[Any, Any]:
    text = copy(field)
    text.description = f"{', '.join(owners)}: {field.description or ''}"
    if not field.is_required():
        return field.annotation, text
    text.default = None
    return field.annotation | None, text
