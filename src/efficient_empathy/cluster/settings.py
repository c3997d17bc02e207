"""Where judges work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from efficient_empathy.foundation.permissions import Permission
from efficient_empathy.foundation.settings import Flag, Settings

LOCAL = "ray"
_CLIENT = 10001
_ADDRESS = re.compile(r"ray://((?:[\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}|auto)")


def _check_cluster(cluster: str | None) -> str | None:
    if cluster is not None and cluster != LOCAL and not _ADDRESS.fullmatch(cluster):
        raise ValueError(f"{cluster!r} is no cluster: write ray, ray://auto or ray://HOST:PORT")
    if cluster is not None and cluster.endswith(f":{_CLIENT}"):
        raise ValueError(
            f"{cluster} is the port of Ray Client, which Ray Data does not work through: name the head's own, 6379 by "
            "default, and run the command on a machine of the cluster"
        )
    return cluster


def cluster_needs(cluster: object) -> Iterator[Permission]:
    """What it takes that a file names a cluster: whose it is gets the dialogues, and what it answers is code."""
    if isinstance(cluster, str) and (address := _ADDRESS.fullmatch(cluster)) and address[1] != "auto":
        yield Permission("host", address[1])
        yield Permission("code")


class ClusterSettings(Settings):
    """Whether judges work on a cluster, and with how many processes."""

    cluster: Annotated[
        str | None, AfterValidator(_check_cluster), Flag("--on", metavar="ray|ray://auto|ray://HOST:PORT")
    ] = None
    """Where judges work, this process by default: ray, a Ray cluster on this machine that is started for the command;
    ray://auto, the cluster that this machine belongs to; ray://HOST:PORT, the one whose head has this address."""
    workers: int | None = Field(default=None, ge=1)
    """With a cluster: processes that judge; by default one for each of its processors, for a judge behind an API one
    for each 16 of its concurrency at most."""

    @model_validator(mode="after")
    def _belongs_to_a_cluster(self) -> Self:
        if self.workers is not None and self.cluster is None:
            raise ValueError("workers are for a cluster: add --on ray (cluster: ray in a recipe), or leave them out")
        return self

    @property
    def address(self) -> str:
        """What Ray calls it."""
        return "local" if self.cluster in (None, LOCAL) else str(self.cluster).removeprefix("ray://")
