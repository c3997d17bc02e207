"""Files of a data set on the hub, by `hf://`, from a hub on this machine."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

pytest.importorskip("huggingface_hub", reason='comes with the extra "hub"')

from efficient_empathy.dialogues import open_source
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects import store
from hub_server import HubServer, hub_server
from remote_rows import responses, rows


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(store, "PAUSE_S", 0.001)
    with hub_server() as running:
        yield running


def test_a_folder_of_the_hub_is_read_as_one_on_disk(hub: HubServer) -> None:
    hub.files |= {
        "README.md": b"# Talks",
        "talks/a.jsonl": rows(1, 2),
        "talks/b.jsonl.gz": gzip.compress(rows(3)),
    }
    hub.files["talks/more/c.jsonl"] = rows(4)
    assert responses(hub.url("talks/")) == ["It was 1.", "It was 2.", "It was 3."]
    assert responses(hub.url("talks/more/c.jsonl")) == ["It was 4."]
    digest = open_source(hub.url("talks/")).digest()
    assert open_source(hub.url("talks/")).digest() == digest
    hub.files["talks/a.jsonl"] = rows(1, 5)
    assert open_source(hub.url("talks/")).digest() != digest
    assert hub.keys == {next(iter(hub.keys))} != {""}


def test_a_hub_that_is_busy_is_asked_again(hub: HubServer) -> None:
    hub.files["a.jsonl"] = rows(1)
    hub.busy = 2
    assert responses(hub.url("a.jsonl")) == ["It was 1."]


@pytest.mark.parametrize("path", ["talks/b.jsonl", "talks/", "else/"])
def test_what_the_hub_does_not_have_is_named(hub: HubServer, path: str) -> None:
    hub.files["a.jsonl"] = rows(1)
    with pytest.raises(UserError, match=rf"{hub.url(path).rstrip('/')}"):
        open_source(hub.url(path))
    with pytest.raises(UserError, match="hf://datasets/org/none"):
        open_source(hub.url("a.jsonl", "org/none"))
