"""`gs://` and `az://`, each with its own package, from stores on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from cloud_stores import BUCKET, CloudStore, azure_store, google_store
from efficient_empathy.dialogues import open_source
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects import store as module
from efficient_empathy.foundation.objects.store import Store
from remote_rows import responses, rows

CLOUDS: dict[str, Callable[[], AbstractContextManager[CloudStore]]] = {"gcsfs": google_store, "adlfs": azure_store}


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudStore]:
    pytest.importorskip(request.param, reason='comes with the extras "gs" and "az"')
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    with CLOUDS[request.param]() as running:
        yield running


def test_a_folder_of_a_store_is_read_as_one_on_disk(cloud: CloudStore) -> None:
    cloud.objects |= {
        "talks/a.jsonl": rows(1, 2),
        "talks/b.jsonl": rows(3),
        "talks/more/c.jsonl": rows(4),
    }
    assert responses(cloud.url("talks/")) == ["It was 1.", "It was 2.", "It was 3."]
    cloud.busy = 2
    assert responses(cloud.url("talks/more/c.jsonl")) == ["It was 4."]
    digest = open_source(cloud.url("talks/")).digest()
    assert open_source(cloud.url("talks/")).digest() == digest
    cloud.objects["talks/a.jsonl"] = rows(1, 5)
    assert open_source(cloud.url("talks/")).digest() != digest


def test_what_a_store_does_not_have_is_named(cloud: CloudStore) -> None:
    cloud.objects["a.jsonl"] = rows(1)
    for url in (cloud.url("b.jsonl"), cloud.url("b/"), cloud.url("a.jsonl", "no-bucket")):
        with pytest.raises(UserError, match=url.rstrip("/")):
            open_source(url)


def test_an_object_is_put_whole_read_in_pieces_and_deleted(
    cloud: CloudStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 1000)
    path, url = tmp_path / "scores.bin", cloud.url("run/scores.bin")
    path.write_bytes(bytes(range(256)) * 10)
    store = Store(url)
    entry = store.put(path, url)
    assert cloud.objects == {"run/scores.bin": path.read_bytes()}
    store.fetch(entry, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    store.write(url, b"other")
    with pytest.raises(UserError, match=rf"{BUCKET}/run/scores\.bin was changed or deleted while it was read"):
        store.fetch(entry, tmp_path / "copy")
    store.delete(url)
    assert not cloud.objects
