"""The bodies of requests: JSON that says what its model has, and nothing else."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from efficient_empathy.foundation.errors import UserError


class Body(BaseModel):
    """What a request says."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Read = TypeVar("Read", bound=BaseModel)


def read_body(kind: type[Read], content: bytes) -> Read:
    """A request's body. Raises `UserError` that names the first field which is wrong."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        place, message = first_fault(error)
        where = ".".join(map(str, place))[:80] or "it is no JSON of ours"
        raise UserError(f"the studio cannot take that request: {where}: {message.lower()[:200]}") from error


def first_fault(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Where the first field lies that is wrong, and what is wrong with it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return first["loc"], first["msg"]
