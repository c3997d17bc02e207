"""The bodies of requests: JSON that says what its model has, and nothing else."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from efficient_empathy.foundation.errors import UserError


class Body(BaseModel):
    """What a request says."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w(?:[\w .-]{0,58}\w)?", name):
        raise ValueError("take up to 60 letters, digits, blanks, points, - and _, a letter or a digit at both ends")
    return name


FolderName = Annotated[str, AfterValidator(_folder_name)]
"""What a folder may be called that a page makes."""
Read = TypeVar("Read", bound=BaseModel)


def read_body(kind: type[Read], content: bytes, *, may_have_nul: bool = False) -> Read:
    """A request's body. Raises `UserError` that names the first field which is wrong.

    A NUL is refused, as no name, path or query may have one, unless texts that models wrote come in the body: these
    may, and then its `kind` checks its names.
    """
    try:
        body = kind.model_validate_json(content)
    except ValidationError as error:
        place, message = first_fault(error)
        where = ".".join(map(str, place))[:80] or "it is no JSON of ours"
        words = message.removeprefix("Value error, ").lower()[:200]
        raise UserError(f"the studio cannot take that request: {where}: {words}") from error
    if not may_have_nul and "\\u0000" in body.model_dump_json():
        raise UserError("the studio cannot take that request: a text in it has a NUL character, which none may have")
    return body


def first_fault(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Where the first field lies that is wrong, and what is wrong with it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return first["loc"], first["msg"]
