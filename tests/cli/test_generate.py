from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer
from tiny_models import tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "llama", scale=3.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    workspace = Workspace(tmp_path / "run").create()
    stories = (f"Story {i}. " * (i + 1) for i in range(8))
    write_samples((Sample.of([Utterance("speaker", s)], "Oh.", split="test") for s in stories), workspace.samples)
    return workspace.root


def generate(*options: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["generate", "--json", *options])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def test_a_folder_s_model_answers_and_says_what_it_did(root: Path, tiny: Path) -> None:
    told = json.loads(generate("--run", str(root), "--model", str(tiny), "--name", "tiny", "--max-new-tokens", "4"))
    assert (told["model"], told["answered"], told["ending"], told["backend"]) == ("tiny", 8, "complete", "transformers")
    assert len(pl.read_parquet(root / "generations" / "tiny.parquet")) == 8
    words = CliRunner().invoke(
        app, ["generate", "--run", str(root), "--model", str(tiny), "--name", "tiny", "--max-new-tokens", "4"]
    )
    assert "8 of 8 responses, template chat" in words.stdout
    assert "nothing had changed" in words.stdout


def test_a_few_samples_with_a_temperature(root: Path, tiny: Path) -> None:
    common = ("--run", str(root), "--model", str(tiny), "--name", "tiny", "--max-new-tokens", "6", "--samples", "3")
    told = json.loads(generate(*common, "--temperature", "0.9", "--top-p", "0.9", "--seed", "4"))
    assert told["decoding"] == {"max_new_tokens": 6, "temperature": 0.9, "top_p": 0.9, "seed": 4}
    first = pl.read_parquet(root / "generations" / "tiny.parquet")
    generate(*common, "--temperature", "0.9", "--top-p", "0.9", "--seed", "4", "--batch-size", "1", "--force")
    assert pl.read_parquet(root / "generations" / "tiny.parquet").equals(first)
    generate(*common, "--temperature", "0.9", "--top-p", "0.9", "--seed", "5")
    assert not pl.read_parquet(root / "generations" / "tiny.parquet").equals(first)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "moe"], "there is no model 'moe'"),
        (["--model", "base", "--max-cost", "1"], "--base-url"),
        (["--model", "base", "--top-p", "0"], "--top-p: Input should be greater than 0"),
        (["--model", "TINY", "--template", "poem"], "cannot read the prompt template poem"),
    ],
)
def test_an_error_says_what_to_type(root: Path, tiny: Path, options: list[str], said: str) -> None:
    assert said in generate("--run", str(root), *(option.replace("TINY", str(tiny)) for option in options), code=1)


def test_without_a_run_or_a_source_it_says_which_to_give(tiny: Path) -> None:
    assert "--run RUN, or --source FILE" in generate("--model", str(tiny), code=1)


def test_ctrl_c_finishes_what_is_in_flight_and_the_same_command_goes_on(root: Path) -> None:
    with MisbehavingServer(does.ok("I see."), latency_s=0.3) as server:
        command = ["--run", str(root), "--model", "gpt-4o", "--base-url", server.url, "--concurrency", "2", "--json"]
        running = ForkedCommand("generate", *command)
        limit = time.monotonic() + 60
        while len(server.requests) < 3 and time.monotonic() < limit:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        stopped = json.loads(out)
        asked = len(server.requests)
        assert stopped["ending"] == "stopped"
        assert stopped["answered"] == asked < 8
        rest = json.loads(generate(*command[:-1]))
        assert (rest["answered"], len(server.requests)) == (8, 8)
