"""Entries of a run's manifest as JSON, for runs that no stage made."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import JsonValue

from efficient_empathy.foundation.run.manifest import Manifest
from efficient_empathy.foundation.run.workspace import Workspace


def write_entry(
    workspace: Workspace, name: str, content: Mapping[str, JsonValue], outputs: Iterable[Path] | None = None
) -> None:
    """Write a stage's entry as if it had just ended; `outputs` as of `Workspace.record`."""
    if outputs is not None:
        workspace.keep(name, outputs)
    before = workspace.manifest() if workspace.manifest_path.exists() else Manifest(stages={})
    manifest = before.with_entry(name, {**content, "finished_at": time.time(), "versions": {}})
    workspace.manifest_path.write_text(json.dumps(manifest.model_dump()), "utf-8")
