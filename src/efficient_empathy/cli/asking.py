"""The options of every command that asks an LLM judge."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ReplyForm(StrEnum):
    """How an LLM judge is asked to reply."""

    auto = "auto"
    json = "json"
    text = "text"


Model = Annotated[str | None, typer.Option(help="openai: the model's name.")]
BaseUrl = Annotated[
    str | None, typer.Option(help="openai: the endpoint; $OPENAI_BASE_URL or https://api.openai.com/v1 by default.")
]
ApiKeyEnv = Annotated[str, typer.Option(help="openai: the environment variable that holds the key.")]
Reply = Annotated[ReplyForm, typer.Option(help="openai: by JSON schema, by text form, or whichever works.")]
Temperature = Annotated[float, typer.Option(help="openai: of sampling.", min=0)]
MaxTokens = Annotated[int, typer.Option(help="openai: room for a reply.", min=1)]
Concurrency = Annotated[int, typer.Option(help="openai: requests in flight at most.", min=1)]
Timeout = Annotated[float, typer.Option(help="openai: seconds for one request.", min=0.1)]
MaxAttempts = Annotated[int, typer.Option(help="openai: tries per request, not counting 429s.", min=1)]
Prices = Annotated[Path | None, typer.Option(help="openai: a prices file instead of the package's own.")]
