"""A run to make synthetic samples for."""

from __future__ import annotations

import io
import shutil

import pytest
from rich.console import Console

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis import SynthesisSettings, synthesize
from efficient_empathy.synthesis.stage import VECTORS_FILE
from misbehaving_server import MisbehavingServer
from synthesizing_server import Writer, bundled_run


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run that has the vectors of its real samples from an earlier synthesis (they take a second); not changed."""
    folder = tmp_path_factory.mktemp("bundled")
    scored = bundled_run(folder)
    earlier = Workspace(shutil.copytree(scored.root, folder / "earlier"))
    settings = SynthesisSettings(samples=1, pilot=4, max_response_words=60, seed_overlap=1.0)
    with MisbehavingServer(Writer()) as server:
        endpoint = EndpointOptions(base_url=server.url)
        synthesize(earlier, "writer", settings, endpoint=endpoint, console=Console(file=io.StringIO()))
    scored.synthesis.mkdir()
    shutil.copy(earlier.synthesis / VECTORS_FILE, scored.synthesis)
    return scored


@pytest.fixture
def run(scored: Workspace, tmp_path) -> Workspace:
    """A copy of it."""
    return Workspace(shutil.copytree(scored.root, tmp_path / "run"))
