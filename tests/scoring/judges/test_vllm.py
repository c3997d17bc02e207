"""The judge `vllm` with a stand-in of vLLM's program; what vLLM itself came to is in the handbook."""

import os
import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import polars as pl
import psutil
import pytest

import vllm_program
from efficient_empathy import score
from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.vllm import keeper
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.judges.registry import build_judge
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok
from scored_runs import numbered

RUBRIC = Rubric.load()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = vllm_program.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def model(folder: Path, seed: int = 0) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(f'{{"seed": {seed}}}')
    return folder


def source(path: Path, texts: list[str]) -> Path:
    write_samples([numbered(i, text=text) for i, text in enumerate(texts)], path)
    return path


def by_text(body: dict, number: int) -> Behaviour:
    sensibility, rationality = vllm_program.scores_of(body["messages"][-1]["content"])
    return ok(f'{{"sensibility": {sensibility}, "rationality": {rationality}}}')


def test_it_is_asked_as_any_endpoint_is_and_gone_when_the_command_ends(program: Path, tmp_path: Path) -> None:
    samples = source(tmp_path / "samples.parquet", [f"I lost my keys {i}" for i in range(20)])
    folder = model(tmp_path / "tiny")
    options = {"gpus": 2, "max_model_len": 2048, "concurrency": 8}
    ours = score(samples, tmp_path / "ours", judge=f"vllm:{folder}", options=options, quiet=True)
    with MisbehavingServer(by_text) as server:
        there = {"base_url": server.url, "concurrency": 8}
        theirs = score(samples, tmp_path / "theirs", judge="openai:tiny", options=there, quiet=True)
    assert ours.equals(theirs)
    (start,) = vllm_program.starts(program)
    assert start["model"] == str(folder)
    wanted = {"--tensor-parallel-size": "2", "--max-model-len": "2048", "--max-num-seqs": "8"}
    assert wanted.items() <= start["options"].items()
    assert not psutil.pid_exists(start["pid"])


def test_a_server_that_ends_takes_nothing_with_it_but_what_was_in_flight(program: Path, tmp_path: Path) -> None:
    texts = [f"I lost my keys {i}" for i in range(6)] + ["the end of all"] + ["I found them"]
    samples, folder = source(tmp_path / "samples.parquet", texts), model(tmp_path / "tiny")
    options = {"concurrency": 1}
    with pytest.raises(UserError, match=rf"vLLM has ended on .*{vllm_program.LOST}.*goes on from there"):
        score(samples, tmp_path / "run", judge=f"vllm:{folder}", options=options, quiet=True)
    again = score(samples, tmp_path / "run", judge=f"vllm:{folder}", options=options, quiet=True)
    assert again["state"].to_list() == ["ok"] * len(texts)
    asked = pl.Series(vllm_program.requests(program)).value_counts()["count"]
    assert sorted(asked)[:-1] == [1] * (len(texts) - 1)
    assert len(vllm_program.starts(program)) == 2


def test_what_keeps_vllm_from_starting_is_told(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, large = source(tmp_path / "samples.parquet", ["I lost my keys"]), model(tmp_path / "too large")
    with pytest.raises(UserError, match=r"did not start on .*CUDA out of memory.*its log is") as failure:
        score(samples, tmp_path / "run", judge=f"vllm:{large}", quiet=True)
    log = re.search(r"its log is (\S+)", str(failure.value))
    assert log is not None
    assert "Failed core proc" in Path(log[1]).read_text()
    Path(log[1]).unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"there is no vLLM on .*install it there.*--judge openai:MODEL@http"):
        score(samples, tmp_path / "run", judge=f"vllm:{large}", quiet=True)


def test_its_judgements_are_kept_under_the_models_weights(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    folders = {name: model(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 2))}
    (tmp_path / "copies").mkdir()
    folders["copy"] = model(tmp_path / "copies" / "a", 1)
    specs = {name: build_judge(f"vllm:{folder}", RUBRIC, workspace).spec for name, folder in folders.items()}
    assert specs["a"] == specs["copy"] != specs["b"]
    hub = build_judge("vllm:org/name", RUBRIC, workspace, {"revision": "abc"}).spec
    assert hub.settings.items() >= {"model": "org/name", "revision": "abc"}.items()
    assert not [key for one in (*specs.values(), hub) for key in one.settings if key == "at"]


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("gone/nowhere/else", {}, "there is no folder .*name a model's folder, or the name of a model on the hub"),
        ("empty", {}, r"empty holds no model \(config.json is missing\)"),
        ("tiny", {"revision": "main"}, "a revision is for a model on the hub.*leave --revision out"),
        (None, {}, "the judge vllm needs --model"),
    ],
)
def test_what_is_no_model_is_told(
    name: str | None, options: dict, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model(tmp_path / "tiny")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=error):
        build_judge("vllm" if name is None else f"vllm:{name}", RUBRIC, Workspace(tmp_path / "run"), options)


def test_a_server_ends_with_all_its_processes_when_its_owner_is_gone() -> None:
    code = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    command = [sys.executable, keeper.__file__, sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True) as kept:
        assert kept.stdin is not None
        assert kept.stdout is not None
        assert kept.stderr is not None
        child = psutil.Process(int(kept.stderr.readline()))
        kept.stdin.close()
        assert not kept.stdout.read()
    child.wait(20)
