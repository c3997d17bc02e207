"""Entries of a run's manifest as JSON, for runs that no stage made."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import JsonValue

from efficient_empathy.foundation.run.workspace import Workspace


def write_entry(
    workspace: Workspace, name: str, content: Mapping[str, JsonValue], outputs: Iterable[Path] | None = None
) -> None:
    """Write a stage's entry as if it had just ended; `outputs` as of `Workspace.record`."""
    if outputs is not None:
        workspace.keep(name, outputs)
    manifest = workspace.manifest().with_entry(name, {**content, "finished_at": time.time(), "versions": {}})
    workspace.manifest_path.write_text(json.dumps(manifest.model_dump()), "utf-8")
