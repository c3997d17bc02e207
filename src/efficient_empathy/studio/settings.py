"""The settings of `studio`: where it listens, who may enter, and whom one can chat with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from efficient_empathy.foundation.settings import Flag, Settings


class StudioSettings(Settings):
    """How the studio is served."""

    host: str = "127.0.0.1"
    """The address to listen on. Anything but loopback demands a token."""
    port: int | None = Field(default=None, ge=0, le=65535)
    """The port; 0 takes a free one. 8321 or the next free by default."""
    token: Annotated[str | None, Flag(envvar="EFFICIENT_EMPATHY_STUDIO_TOKEN")] = None
    """What visitors must show, at least 16 characters; made for you where the host demands one."""
    open: bool | None = None
    """Open it in a browser; by default where you sit at a desktop and need no token."""
    read_only: bool = False
    """Take no ratings, start and stop nothing."""
    chat_url: str | None = None
    """Chat: an OpenAI-compatible endpoint whose model is offered beside the run's own."""
    chat_model: str | None = None
    """Chat: the model's name there."""
    chat_key_env: str = "OPENAI_API_KEY"
    """Chat: the environment variable that holds the endpoint's key."""

    @model_validator(mode="after")
    def _both_chat_options(self) -> StudioSettings:
        if (self.chat_url is None) != (self.chat_model is None):
            raise ValueError("--chat-url and --chat-model belong together: name both")
        return self
