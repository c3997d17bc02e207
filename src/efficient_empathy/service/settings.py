"""The settings of `serve`: which judge and policy, where it listens, and how much it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Flag
from efficient_empathy.selection.settings import ThresholdSettings

TOKEN_VARIABLE = "EFFICIENT_EMPATHY_SERVICE_TOKEN"


class ServiceSettings(ThresholdSettings):
    """What is served, to whom, and within what limits."""

    judge_model: Path | None = None
    """A folder that `distill` made; RUN/judge where there is one, else the judge in the package."""
    policy: Annotated[str | None, Reads()] = None
    """A policy of rules: paper, exclusive, both, one of an installed package, or a YAML file; that of the run's
    selection by default, else paper."""
    host: str = "127.0.0.1"
    """The address to listen on. Others than this machine reach any but loopback, and then a token is required."""
    port: int = Field(default=8322, ge=0, le=65535)
    """The port; 0 takes a free one."""
    token_file: Path | None = None
    """A file with the tokens that clients may show, one a line; read again when it changes. In its place the
    environment variable EFFICIENT_EMPATHY_SERVICE_TOKEN may hold one token."""
    allowed_hosts: tuple[str, ...] = ()
    """Without a token: names by which a proxy asks for the service, such as scores.example.org."""
    threads: int = Field(default=0, ge=0)
    """Samples that are judged at once; one per processor by default."""
    max_items: int = Field(default=1000, ge=1)
    """The most conversations of one request."""
    max_waiting: Annotated[int, Flag(metavar="SAMPLES")] = Field(default=2000, ge=1)
    """The most samples that wait to be judged; a request for which there is no room is told when to come again."""
    timeout: Annotated[float, Flag(metavar="SECONDS")] = Field(default=30.0, gt=0)
    """How long a request may take; also how long requests under way have when the service is stopped."""
    keep: Path | None = None
    """The folder for the counts of each minute, which hold no text; RUN/service by default, none without a run."""
