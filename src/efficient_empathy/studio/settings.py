"""The settings of `studio`: where it listens, who may enter, and whom one can chat with."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from efficient_empathy.foundation.settings import Flag, Settings


class StudioSettings(Settings):
    """How the studio is served."""

    host: str = "127.0.0.1"
    """The address to listen on; others than this machine reach any but loopback."""
    port: int | None = Field(default=None, ge=0, le=65535)
    """The port; 0 takes a free one. 8321 or the next free by default."""
    token: Annotated[str | None, Flag(envvar="EFFICIENT_EMPATHY_STUDIO_TOKEN")] = None
    """What visitors must show, at least 16 characters. Without it one is made for you where others could reach the
    studio: off loopback, behind a proxy, and on a machine where other people have accounts."""
    no_token: bool = False
    """Let everyone in who reaches the studio."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which a proxy asks for the studio, such as studio.example.org."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies that are believed when they say whom a request is from (X-Forwarded-For)."""
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
    chat_max_cost: float | None = Field(default=None, gt=0)
    """Chat: US dollars that the endpoint's replies may cost in all, as long as the studio runs."""

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?", host):
                raise ValueError(f"{host!r} is no name: take one such as studio.example.org, without https:// and path")
        return hosts

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"{proxy!r} is no address: take one such as 127.0.0.1 or 10.0.0.0/8") from None
        return proxies

    @model_validator(mode="after")
    def _one_way_in(self) -> StudioSettings:
        if self.no_token and self.token is not None:
            raise ValueError("--no-token and a token (--token, EFFICIENT_EMPATHY_STUDIO_TOKEN) exclude one another")
        return self

    @model_validator(mode="after")
    def _both_chat_options(self) -> StudioSettings:
        if (self.chat_url is None) != (self.chat_model is None):
            raise ValueError("--chat-url and --chat-model belong together: name both")
        return self
