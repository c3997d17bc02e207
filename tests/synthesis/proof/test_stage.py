"""`synthesize --prove`: real trainings of a tiny model, and one answer wherever it is told."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import polars as pl
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import fixed
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.modelling.training import train
from efficient_empathy.modelling.training.examples import partition
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.report import report
from efficient_empathy.selection import select
from efficient_empathy.synthesis import SynthesisSettings, synthesize
from efficient_empathy.synthesis.proof.record import REAL, SYNTHETIC, ProofRecord, interval_text
from efficient_empathy.synthesis.proof.stage import prove
from efficient_empathy.synthesis.record import SynthesisResult, summary
from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer
from synthesizing_server import Writer, bundled_run
from tiny_models import tiny_model

PROVE = SynthesisSettings(
    samples=10, pilot=16, max_response_words=60, seed_overlap=1.0, prove=True, prove_seeds=1, prove_steps=2
)
FLAGS = ["--samples", 10, "--pilot", 16, "--max-response-words", 60, "--seed-overlap", 1.0,
         "--prove", "--prove-seeds", 1, "--prove-steps", 2]  # fmt: skip
QUIET = Console(file=io.StringIO())
KILLED = """
import os, signal, sys
from efficient_empathy.cli import app
from efficient_empathy.modelling.progress import TrainingProgress
at, steps, told = int(sys.argv.pop()), 0, TrainingProgress.__call__
def step(*arguments):
    global steps
    steps += 1
    if steps == at:
        os.kill(os.getpid(), signal.SIGKILL)
    told(*arguments)
TrainingProgress.__call__ = step
app()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Workspace, str]:
    """A run with an expert and synthetic samples, and where the model that wrote them was: nobody is there now."""
    folder = tmp_path_factory.mktemp("made")
    run = bundled_run(folder)
    base = tiny_model(folder / "base", scale=2)
    training = TrainingSettings(
        base=str(base), method="full", learning_rate=1e-2, batch_size=4, max_steps=1, save_every=1, evaluate_every=0
    )
    train(run, "sensibility", training, console=QUIET)
    with MisbehavingServer(Writer()) as server:
        endpoint = EndpointOptions(base_url=server.url)
        synthesize(run, "writer", PROVE.without_proof, endpoint=endpoint, console=QUIET)
    return run, server.url


@pytest.fixture
def run(made, tmp_path) -> Workspace:
    """A copy of that run, not proved."""
    shutil.copytree(made[0].root, tmp_path / "run")
    return Workspace(tmp_path / "run")


@pytest.fixture(scope="module")
def proved(made, tmp_path_factory) -> tuple[Workspace, SynthesisResult, str]:
    """A copy of it that is proved, and what was said of that."""
    folder = tmp_path_factory.mktemp("proved") / "run"
    shutil.copytree(made[0].root, folder)
    said = io.StringIO()
    result = synthesize(Workspace(folder), "writer", PROVE, endpoint=EndpointOptions(base_url=made[1]),
                        console=Console(file=said, width=200))  # fmt: skip
    return Workspace(folder), result, said.getvalue()


def files(run: Workspace) -> dict[str, bytes]:
    """What a run holds beside its synthesis."""
    paths = (run.samples, run.scores, run.ledger, *run.selection.iterdir(), *run.experts.rglob("*"))
    return {str(path.relative_to(run.root)): path.read_bytes() for path in paths if path.is_file()}


def test_the_same_figures_stand_in_the_record_on_the_terminal_and_on_the_page(proved, made) -> None:
    run, result, _ = proved
    proof = ProofRecord.read(run.synthesis / "proof.json")
    assert result.proof is not None
    assert not result.skipped
    assert json.loads(result.model_dump_json())["proof"]["arms"] == json.loads(proof.json_text())["arms"]
    text = summary(result, run.root)
    select(run)
    report(run)
    html = run.report.read_text("utf-8")
    for arm in proof.arms:
        loss, size = fixed(arm.loss, 4), f"{arm.samples[0]:,}"
        difference = interval_text(arm.difference) if arm.difference else ""
        assert re.search(rf"  {re.escape(arm.name)} +{size} +{loss} *{re.escape(difference)}$", text, re.MULTILINE)
        row = f'<th scope="row">{arm.name}</th><td class="n">{size}</td><td class="n">{loss}</td>'
        assert f'{row}<td class="n">{difference}</td>' in html
    for sentence in proof.sentences:
        assert sentence in text
        assert sentence in html


def test_arms_are_trained_alike_and_measured_on_real_samples_that_are_held_out(proved) -> None:
    run, _, said = proved
    proof = ProofRecord.read(run.synthesis / "proof.json")
    real, *others = proof.arms
    assert (real.name, real.difference) == (REAL, None)
    for arm in others:
        assert arm.samples[0] - real.samples[0] == proof.synthetic == 10
        assert arm.difference.value == pytest.approx(arm.losses[0] - real.losses[0])
        assert arm.difference.low <= arm.difference.value <= arm.difference.high
    assert proof.steps == 2
    assert all(f"{arm.name}, seed 0 (" in said for arm in proof.arms)
    assert said.count("step 2 of 2") == 4
    rows = pl.read_parquet(run.samples)
    test_split = set(rows.filter(split="test")["sample_id"])
    trained_on = TrainingSettings()
    held_out = partition(rows, held_out=trained_on.held_out, seed=trained_on.seed).filter(part="held_out")
    assert len(proof.models) == 4
    for key in proof.models.values():
        folder = run.synthesis / "proof" / key
        measured = pl.read_parquet(folder / "nll.parquet")["sample_id"]
        assert set(measured) == test_split | set(held_out["sample_id"])
        assert len(measured) == proof.held_out
        assert json.loads((folder / "model.json").read_text())["steps"] == 2
    assert not list((run.synthesis / "proof").rglob("*.safetensors"))


def test_nothing_else_of_the_run_is_changed(proved, made) -> None:
    before, after = files(made[0]), files(proved[0])
    assert {path: after[path] for path in before if not path.startswith("selection")} == {
        path: content for path, content in before.items() if not path.startswith("selection")
    }


def test_the_same_again_trains_nothing_more_seeds_only_theirs_and_other_samples_need_another_proof(
    proved, made, tmp_path
) -> None:
    shutil.copytree(proved[0].root, tmp_path / "run")
    run, endpoint = Workspace(tmp_path / "run"), EndpointOptions(base_url=made[1])
    again = synthesize(run, "writer", PROVE, endpoint=endpoint, console=QUIET)
    assert again.skipped
    assert again.proof.arms == proved[1].proof.arms
    said = io.StringIO()
    more = PROVE.model_copy(update={"prove_seeds": 2})
    result = synthesize(run, "writer", more, endpoint=endpoint, console=Console(file=said, width=200))
    assert not result.skipped
    assert "seed 1 (" in said.getvalue()
    assert "seed 0 (" not in said.getvalue()
    real, *others = result.proof.arms
    for arm, before in zip(others, again.proof.arms[1:], strict=True):
        assert arm.losses[0] == before.losses[0]
        differences = [loss - own for loss, own in zip(arm.losses, real.losses, strict=True)]
        assert arm.difference.value == pytest.approx(sum(differences) / 2)
    changed = more.model_copy(update={"diversity": 1.0}).without_proof
    synthesize(run, "writer", changed, endpoint=endpoint, console=QUIET)
    report(run)
    assert "The proof is of earlier synthetic samples" in run.report.read_text("utf-8")


def test_a_run_that_was_made_otherwise_is_proved_as_it_stands(proved, made) -> None:
    endpoint, other = EndpointOptions(base_url=made[1]), PROVE.model_copy(update={"samples": 99})
    result = prove(proved[0], "writer", other, endpoint, console=QUIET)
    assert result.skipped
    assert result.arms == proved[1].proof.arms


def test_killed_in_the_middle_of_an_arm_the_same_command_goes_on_and_ends_alike(run, made, proved) -> None:
    command = ["synthesize", "--run", run.root, "--model", "writer", "--base-url", made[1], *FLAGS, "--json"]
    killed = ForkedCommand(*command, 4, program=KILLED)
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert len(list((run.synthesis / "proof").glob("*/model.json"))) == 1
    going_on = ForkedCommand(*command)
    out, err = going_on.communicate(timeout=120)
    assert going_on.returncode == 0, err
    assert f"{SYNTHETIC}, seed 0 (2 of 4): going on from step 1 of 2" in err
    assert f"{REAL}, seed 0" not in err
    assert json.loads(out)["proof"] == json.loads(proved[1].model_dump_json())["proof"]


@pytest.mark.parametrize(
    ("base", "batch_size", "fault"),
    [("/no/such/model", 8, "there is no model at /no/such/model"), (None, 70, "too few for batches of 70")],
)
def test_a_base_that_is_not_there_and_too_few_samples_are_errors(run, made, base, batch_size, fault) -> None:
    settings = PROVE.model_copy(update={"prove_base": base})
    training = TrainingSettings(method="full", batch_size=batch_size)
    endpoint = EndpointOptions(base_url=made[1])
    with pytest.raises(UserError, match=fault):
        synthesize(run, "writer", settings, endpoint=endpoint, training=training, console=QUIET)
    assert not (run.synthesis / "proof.json").exists()


@pytest.mark.usefixtures("nothing_allowed")
def test_a_strangers_run_may_not_have_a_base_loaded_from_elsewhere(run, made) -> None:
    with pytest.raises(UserError, match=rf"asks to read {re.escape(str(made[0].root.parent / 'base'))}.*--allow read:"):
        synthesize(run, "writer", PROVE, endpoint=EndpointOptions(base_url=made[1]), console=QUIET)


def test_where_nothing_is_held_out_that_is_said_before_anything_is_asked(tmp_path) -> None:
    run = bundled_run(tmp_path, 8, tested=False)
    with MisbehavingServer(Writer()) as server:
        endpoint = EndpointOptions(base_url=server.url)
        with pytest.raises(UserError, match=r"holds 0 real dialogues out.*--held-out"):
            synthesize(run, "writer", PROVE, endpoint=endpoint,
                       training=TrainingSettings(held_out=0), console=QUIET)  # fmt: skip
        assert not server.requests
