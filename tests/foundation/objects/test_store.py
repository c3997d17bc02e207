"""Objects over the wire: what a store that is busy, slow or gone does to a reader, and what is said of it."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="comes with the tests' own requirements")

from fsspec.registry import _registry as registry

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects import store as module
from efficient_empathy.foundation.objects.store import Entry, Store
from local_server import LocalServer
from object_store import SECRET, ObjectStore, object_store


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(autouse=True)
def _in_a_hurry(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    yield
    server.empty()


def found(server: ObjectStore, key: str) -> tuple[Store, Entry]:
    store = Store(server.url(key))
    entry = store.find(server.url(key))
    assert entry is not None
    return store, entry


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_an_object_comes_whole_from_a_store_that_is_busy_or_breaks_off(
    fault: str, server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(5000)
    server.put("a.bin", content)
    monkeypatch.setattr(module, "PIECE", 2000)
    with server.misbehaving(lambda request, number: fault if request.startswith("GET") and number % 2 else None):
        store, entry = found(server, "a.bin")
        store.fetch(entry, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert len([request for request in server.requests if request.startswith("GET")]) > 3


def test_a_store_that_stays_busy_or_silent_is_named_with_what_to_do(
    server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("a.bin", b"x")
    monkeypatch.setattr(module, "TRIES", 2)
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    for fault, reason in {"503": r"slow down, 2 times", "hang": "[Tt]imeout|closed"}.items():
        with server.misbehaving(lambda request, number, fault=fault: fault if request.startswith("GET") else None):
            store, entry = found(server, "a.bin")
            with pytest.raises(UserError, match=rf"cannot read s3://talks/a\.bin \(.*({reason}).*run the same command"):
                store.fetch(entry, tmp_path / "copy")


def test_an_object_that_changes_while_it_is_read_is_no_object_that_was_listed(
    server: ObjectStore, tmp_path: Path
) -> None:
    server.put("a.bin", b"one")
    store, entry = found(server, "a.bin")
    server.put("a.bin", b"two")
    with pytest.raises(UserError, match=r"s3://talks/a\.bin was changed or deleted while it was read: run the same"):
        store.fetch(entry, tmp_path / "copy")


def test_a_folder_of_many_objects_is_listed_whole_by_their_own_names(server: ObjectStore) -> None:
    names = [f"shards/{number:04}.jsonl" for number in range(1001)] + ["shards/", "shards/in/deep.jsonl", "shards"]
    names += ["shards/a b+%25&?*[é]'\".jsonl", "shards/../up.jsonl"]
    for name in names:
        server.put(name, b"x")
    entries = Store(server.url()).listing(server.url("shards/"))
    assert len(entries) == 1002
    assert entries[-1].name == "a b+%25&?*[é]'\".jsonl"
    assert Store(server.url()).read(entries[-1].url) == b"x"


def test_what_is_not_there_is_none_and_a_bucket_that_is_not_there_is_an_error(server: ObjectStore) -> None:
    store = Store(server.url())
    assert (store.find(server.url("a")), store.read(server.url("a")), store.listing(server.url("a/"))) == (
        None,
        None,
        [],
    )
    with pytest.raises(UserError, match=r"s3://nowhere/a/ is not found: check the name and AWS_ENDPOINT_URL"):
        Store("s3://nowhere/a/").listing("s3://nowhere/a/")


def test_no_key_stands_in_an_error(server: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-that-nobody-may-see")
    body = f"<Error><Code>AccessDenied</Code><Message>not {SECRET}, not a-token-that-nobody-may-see</Message></Error>"

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with LocalServer(Refusing) as refusing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.port}")
        with pytest.raises(UserError, match=r"not \[key\], not \[key\]\): set AWS_ACCESS_KEY_ID and AWS_SEC"):
            Store("s3://talks/").listing("s3://talks/")
    with pytest.raises(UserError, match=r"holds a password: leave it out") as raised:
        Store(f"s3://AKIA:{SECRET}@talks/a")
    assert SECRET not in str(raised.value)


def test_without_keys_the_error_says_how_to_give_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match=r"cannot list s3://talks/ .*: set AWS_ACCESS_KEY_ID .*FSSPEC_S3_ANON=true"):
        Store("s3://talks/").listing("s3://talks/")


def test_what_is_not_installed_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")  # to be connected anew
    for scheme, package, extra in (("s3", "s3fs", "s3"), ("gs", "gcsfs", "gs"), ("abfs", "adlfs", "az")):
        monkeypatch.delitem(registry, scheme, raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        line = rf'reaching {scheme}://talks/a needs the extra "{extra}": pip install "efficient-empathy\[{extra}\]"'
        with pytest.raises(UserError, match=line):
            Store(f"{scheme}://talks/a").find(f"{scheme}://talks/a")
    with pytest.raises(UserError, match=r"ftp://host/a is no place that can be reached: .*s3, gs"):
        Store("ftp://host/a")


def test_a_store_goes_to_another_process_or_thread(server: ObjectStore) -> None:
    server.put("a.bin", b"there")
    store = pickle.loads(pickle.dumps(Store(server.url())))
    found: list[bytes | None] = []
    threads = [threading.Thread(target=lambda: found.append(store.read(server.url("a.bin")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [b"there"] * 4
