"""The manifest of a run: what each stage recorded, and which files it wrote."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_serializer

_NO_PATH = re.compile("[\0\ud800-\udfff]")
"""What stands in no file's name that can be written down."""


class Artifact(BaseModel):
    """A file that a stage writes; size, time and hash are there once the stage has finished it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    stage: str
    size: int | None = None
    mtime_ns: int | None = None
    sha256: str | None = None

    @model_serializer(mode="wrap")
    def _without_gaps(self, dump: Any) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}


class Manifest(BaseModel):
    """`manifest.json`: the entries of the stages by name, and the artifacts by their path in the run's folder.

    An entry is JSON here, as its record belongs to the stage's own room: `Workspace.stage` reads it as such.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    stages: dict[str, dict[str, JsonValue]]
    artifacts: dict[str, Artifact] = Field(default_factory=dict)

    @field_validator("artifacts")
    @classmethod
    def _within(cls, artifacts: dict[str, Artifact]) -> dict[str, Artifact]:
        for path in map(PurePosixPath, artifacts):
            if _NO_PATH.search(str(path)):
                raise ValueError(f"{str(path)!r} is no path")
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{path} lies outside the run's folder")
        return artifacts

    def entry(self, stage: str) -> dict[str, JsonValue]:
        """What a stage recorded, empty if it has not run."""
        return self.stages.get(stage, {})

    def is_interrupted(self, stage: str) -> bool:
        """Whether a stage has begun and not come to its end."""
        return "interrupted" in self.entry(stage)

    def is_finished(self, artifact: Artifact) -> bool:
        """Whether the stage of a file came to its end."""
        return artifact.sha256 is not None and not self.is_interrupted(artifact.stage)

    def finished_at(self, stage: str) -> float:
        """When a stage came to its end, in Unix seconds; 0 if it never did."""
        moment = self.entry(stage).get("finished_at", 0.0)
        return float(moment) if isinstance(moment, int | float) else 0.0

    def artifacts_of(self, stage: str) -> dict[str, Artifact]:
        """The files of one stage, by path."""
        return {path: artifact for path, artifact in self.artifacts.items() if artifact.stage == stage}

    def with_entry(self, stage: str, entry: dict[str, JsonValue]) -> Manifest:
        """The manifest in which a stage has this entry."""
        return self.model_copy(update={"stages": {**self.stages, stage: entry}})

    def with_artifacts(self, stage: str, artifacts: dict[str, Artifact]) -> Manifest:
        """The manifest in which a stage has these files, and no others."""
        others = {path: artifact for path, artifact in self.artifacts.items() if artifact.stage != stage}
        return self.model_copy(update={"artifacts": others | artifacts})

    def without(self, stage: str) -> Manifest:
        """The manifest in which a stage never ran."""
        stages = {name: entry for name, entry in self.stages.items() if name != stage}
        return self.model_copy(update={"stages": stages}).with_artifacts(stage, {})


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with a JSON file, after its place in it."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
