"""A run in an object store: what is put there, by whom, and what a kill leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="comes with the tests' own requirements")

from efficient_empathy.dialogues import open_source
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects import store as module
from efficient_empathy.foundation.objects.store import Store
from efficient_empathy.foundation.push import PushSettings, push, summary
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection import select
from object_store import SECRET, ObjectStore, object_store
from selected_runs import selected_run

URL = "s3://talks/runs/mine"


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def run(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    workspace = selected_run(tmp_path / "mine")
    workspace.keep("read", [workspace.samples])
    workspace.keep("score", [workspace.scores])
    yield workspace
    server.empty()


def record(server: ObjectStore) -> dict:
    return json.loads(server.get("runs/mine/push.json"))


def puts(server: ObjectStore) -> list[str]:
    return [line.split()[1] for line in server.requests if line.startswith("PUT") and "push.json" not in line]


def test_what_stages_have_written_is_there_byte_for_byte_and_sent_once(run: Workspace, server: ObjectStore) -> None:
    run.corrections.write_text("what people say of it\n", "utf-8")
    result = push(run, URL)
    files = {path for path in run.root.rglob("[!.]*") if path.is_file() and path != run.ledger}
    expected = {path.relative_to(run.root).as_posix() for path in files}
    assert {key.removeprefix("runs/mine/") for key in server.names()} == {*expected, "push.json"}
    assert all(server.get(f"runs/mine/{key}") == (run.root / key).read_bytes() for key in expected)
    assert (result.files, result.uploaded, result.skipped) == (len(expected), len(expected), False)
    assert (record(server)["complete"], record(server)["run"]) == (True, "mine")
    with server.misbehaving():
        again = push(run, URL)
    assert (again.uploaded, again.skipped, puts(server)) == (0, True, [])
    assert f"has all {len(expected)} files" in summary(again, run.root)
    assert SECRET not in str(record(server)) + run.manifest_path.read_text()


def test_only_what_changed_is_sent_and_what_is_gone_goes(run: Workspace, server: ObjectStore) -> None:
    push(run, URL)
    server.put("runs/mine/selection/theirs.jsonl", b"not ours")
    select(run, alpha=10)
    with server.misbehaving():
        result = push(run, URL)
    assert not [name for name in puts(server) if "samples" in name or "scores" in name]
    assert puts(server)[-1] == "/talks/runs/mine/manifest.json"
    there = {key.rpartition("/")[2] for key in server.names("runs/mine/selection/")}
    assert there == {path.name for path in run.selection.iterdir()} | {"theirs.jsonl"}
    assert result.deleted == 1
    assert server.get("runs/mine/selection/theirs.jsonl") == b"not ours"


def test_the_subsets_alone_and_read_again(run: Workspace, server: ObjectStore) -> None:
    push(run, URL, PushSettings(only=("select",)))
    assert server.names("runs/mine/samples") == []
    there, here = (open_source(f"{place}/selection/sensibility.jsonl") for place in (URL, run.root))
    assert [sample.id for sample in there] == [sample.id for sample in here]
    push(run, URL)
    assert len(list(open_source(f"{URL}/"))) == 120
    with pytest.raises(UserError, match="has no files of the stage train: it has read, score, select"):
        push(run, URL, PushSettings(only=("train",)))


def test_nothing_of_somebody_else_is_replaced(run: Workspace, server: ObjectStore, tmp_path: Path) -> None:
    server.put("runs/mine/selection/README.md", b"theirs")
    with pytest.raises(UserError, match=r"s3://talks/runs/mine/selection/README\.md is in the way, .*or --overwrite"):
        push(run, URL)
    assert server.names() == ["runs/mine/selection/README.md"]
    push(run, URL, PushSettings(overwrite=True))
    server.put("runs/mine/selection/README.md", b"edited")
    with pytest.raises(UserError, match=r"README\.md is in the way"):
        push(run, URL)
    with pytest.raises(UserError, match=r"s3://talks/runs/mine holds the run mine: pass another folder"):
        push(selected_run(tmp_path / "other"), URL)


def test_a_push_that_was_killed_is_no_whole_run_and_goes_on(run: Workspace, server: ObjectStore) -> None:
    program = "import sys; from efficient_empathy.cli import main; sys.argv[0] = 'efficient-empathy'; main()"
    words = [sys.executable, "-c", program, "push", str(run.root), URL]
    started = threading.Event()
    processes: list[subprocess.Popen[bytes]] = []

    def kill_in_the_middle(request: str, number: int) -> None:
        if request.startswith("PUT") and "scores.parquet" in request:
            started.wait(10)
            processes[0].send_signal(signal.SIGKILL)

    with server.misbehaving(kill_in_the_middle):
        processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        started.set()
        assert processes[0].wait(60) == -signal.SIGKILL
    assert record(server)["complete"] is False
    assert "runs/mine/manifest.json" not in server.names()
    with pytest.raises(UserError, match=r"s3://talks/runs/mine/ is not whole: a push of the run mine was interrupted"):
        open_source(f"{URL}/")
    before = {key for key, one in record(server)["files"].items() if one["etag"]}
    with server.misbehaving():
        push(run, URL)
    assert {name.removeprefix("/talks/runs/mine/") for name in puts(server)} == {*record(server)["files"]} - before
    assert record(server)["complete"] is True


def test_a_large_file_that_cannot_be_sent_leaves_nothing(
    server: ObjectStore, run: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 5 * 2**20)
    monkeypatch.setattr(module, "TRIES", 2)
    path, url = tmp_path / "large", server.url("large")
    path.write_bytes(bytes(11 * 2**20))
    busy = server.misbehaving(lambda request, number: "503" if "partNumber=2" in request else None)
    with busy, pytest.raises(UserError, match=r"cannot write s3://talks/large \(.*slow down"):
        Store(url).put(path, url)
    assert (server.names("large"), server.uploads()) == ([], [])
    server.client.create_multipart_upload(Bucket="talks", Key="large")
    server.client.create_multipart_upload(Bucket="talks", Key="large.of-somebody-else")
    Store(url).abandon(url)
    assert server.uploads() == ["large.of-somebody-else"]
    Store(url).put(path, url)
    assert server.get("large") == path.read_bytes()


def test_a_run_that_was_edited_is_not_pushed(run: Workspace, server: ObjectStore) -> None:
    (run.selection / "sensibility.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"sensibility\.jsonl has changed since it was written: `effic.* check"):
        push(run, URL)
    for url in ("runs/there", "https://host/runs"):
        with pytest.raises(UserError, match=r"is no folder of an object store: pass a URL such as s3://"):
            push(run, url)
    assert server.names() == []
