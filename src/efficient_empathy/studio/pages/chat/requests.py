"""What the page may ask of the chat: every field checked, nothing that names an address."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from efficient_empathy.foundation.errors import UserError

MOST_TOKENS = 1024
Body = TypeVar("Body", bound=BaseModel)
Text = Annotated[str, Field(min_length=1, max_length=8000)]


class Turn(BaseModel):
    """A turn of the conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["speaker", "listener"]
    text: Text


Context = Annotated[list[Turn], Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Question(BaseModel):
    """One model, and what it is to answer: the speaker's turn is last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name
    context: Context


class ChatRequest(BaseModel):
    """One turn put to several models."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asks: list[Question] = Field(min_length=1, max_length=8)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int = Field(default=128, ge=1, le=MOST_TOKENS)


class ModelReply(BaseModel):
    """What a model answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name
    response: Annotated[str, Field(min_length=1, max_length=20_000)]


class RatingRequest(BaseModel):
    """A context and the replies to it, for people to rate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Context
    replies: list[ModelReply] = Field(min_length=1, max_length=8)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int = Field(default=128, ge=1, le=MOST_TOKENS)


def read(kind: type[Body], body: bytes) -> Body:
    """A request's body. Raises `UserError` that names the first field which is wrong."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise UserError(f"the chat cannot take that: {place}: {first['msg']}") from error
