"""Sources in object stores: all that a file or folder on disk promises."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("moto", reason="comes with the tests' own requirements")

from efficient_empathy.dialogues import BadRowError, inspect_source, open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects import copies
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.ingestion import ingest
from local_server import LocalServer
from object_store import ObjectStore, object_store
from remote_rows import responses, rows


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(autouse=True)
def folder_for_copies(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    server.empty()


def in_zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.jsonl", text)
    return buffer.getvalue()


def test_every_container_is_read_where_it_lies(server: ObjectStore) -> None:
    table = io.BytesIO()
    pl.read_ndjson(rows(1, 2)).write_parquet(table)
    contents = {
        "a.jsonl": rows(1, 2), "packed": gzip.compress(rows(1, 2)), "t.parquet": table.getvalue(),
        "c.csv": "context,response\nIt is 1.,It was 1.\nIt is 2.,It was 2.\n", "z.zip": in_zip(a=rows(1), b=rows(2)),
    }  # fmt: skip
    for name, content in contents.items():
        server.put(name, content)
        assert responses(server.url(name)) == ["It was 1.", "It was 2."]


def test_a_folder_is_its_objects_of_one_format_in_order(server: ObjectStore, folder_for_copies: Path) -> None:
    files = {"b.jsonl": rows(3), "train.jsonl": rows(1), "valid.jsonl": rows(2), "README.md": "x", "n.txt": "no data"}
    for name, content in {**files, "": b"", "deep/d.jsonl": rows(9)}.items():
        server.put(f"talks/{name}", content)
    source = open_source(server.url("talks"))
    assert [sample.response for sample in source] == ["It was 1.", "It was 2.", "It was 3."]
    assert [str(file) for file in source.skipped_files] == [server.url("talks/n.txt")]
    del source
    assert [*folder_for_copies.iterdir()] == []
    server.put("talks/empty.jsonl", b"")
    with pytest.raises(UserError, match=r"s3://talks/talks/empty\.jsonl is empty"):
        open_source(server.url("talks/"))


def test_a_name_that_is_an_object_and_a_folder_is_the_object_unless_it_ends_in_a_slash(server: ObjectStore) -> None:
    server.put("talks", rows(1))
    server.put("talks/a.jsonl", rows(2))
    assert responses(server.url("talks")) == ["It was 1."]
    assert responses(server.url("talks/")) == ["It was 2."]


def test_bad_rows_go_by_the_name_of_their_object(server: ObjectStore) -> None:
    server.put("a b?.jsonl", rows(1) + b"{}\n")
    with pytest.raises(BadRowError, match=r"s3://talks/a b\?\.jsonl:2: .*missing"):
        list(open_source(server.url("a b?.jsonl")))
    inspection = inspect_source(server.url("a b?.jsonl"))
    assert (inspection.samples, inspection.bad_row_examples[0].place) == (1, server.url("a b?.jsonl:2"))


def test_names_that_climb_are_names(server: ObjectStore, folder_for_copies: Path) -> None:
    server.put("x/../../../../evil.jsonl", rows(1))
    source = open_source(server.url("x/../../../../evil.jsonl"))
    list(source)
    [made] = folder_for_copies.iterdir()
    assert {path.parent for path in folder_for_copies.rglob("*")} == {folder_for_copies, made}


def test_a_rerun_reads_nothing_again_until_an_object_changes(server: ObjectStore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        server.put(f"talks/{name}.jsonl", rows(*range(4000)))
    workspace = Workspace(tmp_path / "run").create()
    ingest(server.url("talks/"), workspace)
    times = workspace.samples.stat().st_mtime_ns
    with server.misbehaving():
        ingest(server.url("talks/"), workspace)
    sizes = [request for request in server.requests if request.startswith("GET /talks/talks/")]
    assert (workspace.samples.stat().st_mtime_ns, len(sizes)) == (times, 2)
    server.put("talks/b.jsonl", rows(*range(1, 4001)))
    assert ingest(server.url("talks/"), workspace).samples == 8000
    assert workspace.samples.stat().st_mtime_ns != times
    assert "AWS" not in workspace.manifest_path.read_text()


def test_an_object_that_changes_between_two_passes_ends_the_reading(
    server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "BEGINNING", 100)
    server.put("a.jsonl", rows(*range(200)))
    source = open_source(server.url("a.jsonl"))
    server.put("a.jsonl", rows(*range(200, 400)))
    with pytest.raises(UserError, match=r"s3://talks/a\.jsonl was changed or deleted while it was read"):
        list(source)


def test_copies_take_no_more_than_their_share_of_the_disk(
    server: ObjectStore, folder_for_copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        server.put(f"talks/{number:02}.jsonl", rows(number))
    usage = __import__("shutil").disk_usage(folder_for_copies)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=200))
    source = open_source(server.url("talks/"))
    seen = 0
    for sample in source:
        assert sample.response == f"It was {seen}."
        seen += 1
        assert len([*folder_for_copies.rglob("*")]) <= 12
    assert seen == 20


def test_a_part_of_a_source_is_read_in_another_process(server: ObjectStore) -> None:
    server.put("talks/a.jsonl", rows(1))
    server.put("talks/b.jsonl", rows(2))
    source = pickle.loads(pickle.dumps(open_source(server.url("talks/"))))
    assert [sample.response for sample in source] == ["It was 1.", "It was 2."]
    assert [sample.response for file in source.data_files for sample in open_source(str(file))] == [
        "It was 1.", "It was 2.",
    ]  # fmt: skip


def test_what_a_killed_process_leaves_goes_with_the_next(server: ObjectStore, folder_for_copies: Path) -> None:
    server.put("a.jsonl", rows(1))
    program = (
        "import os, signal; from efficient_empathy.dialogues import open_source\n"
        f"source = open_source({server.url('a.jsonl')!r}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    [left] = folder_for_copies.iterdir()
    os.utime(left, (time.time() - 3600,) * 2)
    source = open_source(server.url("a.jsonl"))
    assert left not in folder_for_copies.iterdir()
    assert len(list(source)) == 1


def test_a_run_and_a_selection_are_known_in_a_store_too(server: ObjectStore) -> None:
    for name in ("assignments.parquet", "dataset_info.json", "sensibility.jsonl", "discard.jsonl"):
        server.put(f"run/selection/{name}", rows(1))
    with pytest.raises(UserError, match=r"is a selection, .* such as s3://talks/run/selection/sensibility\.jsonl"):
        open_source(server.url("run/selection/"))
    assert responses(server.url("run/selection/sensibility.jsonl")) == ["It was 1."]


def test_a_format_may_be_named_and_is_looked_for_in_beginnings(
    server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "BEGINNING", 100)
    server.put("talks/a.jsonl", rows(*range(100)))
    server.put("talks/b.json", json.dumps([{"context": "It is 1.", "response": "It was 1."}] * 100))
    source = open_source(server.url("talks/"), ReadingSettings(format="table"))
    assert len(list(source)) == 200


def test_a_file_of_a_web_server_is_a_source_and_its_query_no_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(rows(1) + b"{}\n")
    with LocalServer(partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as web:  # type: ignore[arg-type]
        url = f"http://127.0.0.1:{web.port}/a.jsonl"
        inspection = inspect_source(f"{url}?X-Amz-Signature=0123456789abcdef")
        assert (inspection.samples, inspection.bad_row_examples[0].place) == (1, f"{url}:2")
        record = ingest(f"{url}?sig=secret", Workspace(tmp_path / "run").create(), ReadingSettings(on_bad_row="skip"))
        assert record.source.name == "a.jsonl"
        with pytest.raises(UserError, match=r"b\.jsonl is not found"):
            open_source(url.replace("a.jsonl", "b.jsonl"))
        with pytest.raises(UserError, match="is a page and no folder: pass the URL of one file"):
            open_source(f"http://127.0.0.1:{web.port}/")
