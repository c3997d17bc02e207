"""The whole of it on real Ray, as small as it can be; what takes longer is in `test_machines.py`."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

import vllm_program
from efficient_empathy import score
from efficient_empathy.cluster import ClusterSettings, open_engine
from efficient_empathy.cluster.reading import is_divisible, is_in_reach
from efficient_empathy.dialogues import open_source, write_samples
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.ingestion import ingest
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok
from object_store import ObjectStore, object_store
from ray_clusters import needs_ray, this_process_on_a_cluster
from scored_runs import numbered

pytestmark = needs_ray
KEY = "sk-nobody-may-read-this"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as running:
        yield running


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vllm_program.install(tmp_path_factory.mktemp("vllm") / "bin")


@pytest.fixture(scope="module")
def logs(store: ObjectStore, vllm: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("PATH", f"{vllm}{os.pathsep}{os.environ['PATH']}")
        with this_process_on_a_cluster() as folder:
            yield folder


def by_text(body: dict[str, Any], number: int) -> Behaviour:
    """Scores that follow from the text alone; one text gets none."""
    digest = hashlib.sha256(body["messages"][-1]["content"].encode()).digest()
    if "my keys 7\n" in body["messages"][-1]["content"]:
        return ok("I would rather not say.")
    return ok(f'{{"sensibility": {digest[0] % 11}, "rationality": {digest[1] % 11}}}')


def holds_key(path: Path) -> bool:
    """Whether a file holds the key; Ray writes some of its own beside, and moves them within a moment."""
    try:
        return path.is_file() and KEY.encode() in path.read_bytes()
    except FileNotFoundError:
        return False


def write_files(folder: Path) -> Path:
    """Four files of dialogues, one of them without a good row, with bad rows here and there."""
    folder.mkdir()
    for name, count in (("a", 40), ("b", 1), ("c", 30), ("d", 20)):
        rows = [
            {"messages": [{"role": "user", "content": f"{name} {i // 2}"}, {"role": "assistant", "content": "I see."}]}
            for i in range(count)
        ]
        lines = [json.dumps(row) if i % 7 else '{"messages": "none"}' for i, row in enumerate(rows)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder


def test_files_are_read_on_the_cluster_as_on_one_machine(logs: str, store: ObjectStore, tmp_path: Path) -> None:
    source = write_files(tmp_path / "talks")
    skip = ReadingSettings(on_bad_row="skip", format="messages")
    runs = [Workspace(tmp_path / name).create() for name in ("one", "two", "three")]
    records = [ingest(source, runs[0], skip)]
    with open_engine(ClusterSettings(cluster="ray")) as engine:
        for path in source.iterdir():
            store.put(f"talks/{path.name}", path.read_bytes())
        stored = open_source(store.url("talks/"), skip)
        assert is_divisible(stored)
        assert is_in_reach(stored)
        ingest(store.url("talks/"), runs[2], skip, engine=engine)
        records.append(ingest(source, runs[1], skip, engine=engine))
        with pytest.raises(UserError, match=r"a\.jsonl:1: .*--on-bad-row skip"):
            ingest(source, runs[1], ReadingSettings(format="messages"), engine=engine)
    assert records[0] == records[1]
    assert records[0].bad_rows > 10
    assert records[0].duplicates > 10
    frames = [pl.read_parquet(run.samples) for run in runs]
    assert frames[0].equals(frames[1])
    texts = ["sample_id", "dialogue_id", "context", "response"]
    assert frames[2].select(texts).equals(frames[0].select(texts))
    assert not list((runs[1].root / "cluster").glob("*"))


def test_the_same_scores_as_on_one_machine_within_one_window_and_one_budget(logs: str, tmp_path: Path) -> None:
    source = tmp_path / "samples.parquet"
    write_samples([numbered(i) for i in (*range(150), 3, 4)], source)
    with MisbehavingServer(by_text, latency_s=0.02) as server:
        options = {"base_url": server.url, "concurrency": 6, "max_cost": 1.0}
        one = score(source, tmp_path / "one", judge="openai:gpt-4o-mini", options=options, quiet=True)
        asked = Counter(map(str, server.requests))
        server.requests.clear()
        server.max_concurrent = 0
        two = score(source, tmp_path / "two", judge="openai:gpt-4o-mini", options=options, cluster="ray", quiet=True)
        assert server.max_concurrent <= 6
        assert Counter(map(str, server.requests)) == asked
    assert two.equals(one)
    assert two["state"].value_counts().sort("state").rows() == [("ok", 151), ("parse_error", 1)]
    assert pl.read_parquet(tmp_path / "two" / "ledger.parts" / "*.parquet").height == 150
    assert not (tmp_path / "two" / "cluster").exists()
    assert not [path for path in (*Path(logs).rglob("*"), *(tmp_path / "two").rglob("*")) if holds_key(path)]


def test_an_engine_that_ends_is_started_again_and_takes_what_was_in_flight_alone(
    logs: str, vllm: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, model = tmp_path / "samples.parquet", tmp_path / "tiny"
    write_samples([numbered(i, text="the end of all" if i == 20 else "I lost my keys") for i in range(40)], source)
    model.mkdir()
    (model / "config.json").write_text("{}")
    options = {"gpus": 0, "concurrency": 2}
    scores = score(source, tmp_path / "run", judge=f"vllm:{model}", options=options, cluster="ray")
    assert scores["state"].to_list() == ["ok"] * 40
    assert "vLLM has ended on" in capfd.readouterr().err
    asked = Counter(vllm_program.requests(vllm))
    assert len(asked) == 40
    assert sum(asked.values()) <= 40 + 2
    first, second = vllm_program.starts(vllm)
    assert first["model"] == second["model"] == str(model)
    with pytest.raises(UserError, match=r"no machine of the cluster has 1 GPU for vLLM: .*--gpus.*--judge openai"):
        score(source, tmp_path / "other", judge=f"vllm:{model}", cluster="ray", quiet=True)
    _, rest = psutil.wait_procs([psutil.Process(second["pid"])] if psutil.pid_exists(second["pid"]) else [], 20)
    assert not rest
