"""The Hugging Face hub on this machine, as far as reading a data set's files asks it: small files of one data set.

with hub_server() as hub:
    hub.files["talks/a.jsonl"] = b"…"
    open_source(hub.url("talks/"))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fsspec.config import conf

from local_server import AnsweringHandler, LocalServer

NAME = "org/talks"


class HubServer:
    """Its files by path; `keys` are the tokens that came, `busy` the requests yet to be answered with 503."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.keys: set[str] = set()
        self.busy = 0

    def url(self, path: str = "", name: str = NAME) -> str:
        """The URL of a file or a folder."""
        return f"hf://datasets/{name}/{path}"

    def entry(self, path: str) -> dict[str, object]:
        """What the hub says of a file."""
        content = self.files[path]
        return {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def tree(self, folder: str) -> list[dict[str, object]] | None:
        """What the hub says of what is in a folder; None where there is none."""
        prefix = f"{folder}/" if folder else ""
        inside = {path.removeprefix(prefix).partition("/")[0] for path in self.files if path.startswith(prefix)}
        entries = [
            self.entry(prefix + one)
            if prefix + one in self.files
            else {"type": "directory", "path": prefix + one, "size": 0, "oid": "0" * 40}
            for one in sorted(inside)
        ]
        return entries or None


class _Handler(AnsweringHandler):
    hub: HubServer

    def tell(self, content: object) -> None:
        self.answer(200, json.dumps(content).encode(), Content_Type="application/json")

    def lacks(self, what: str) -> None:
        self.answer(404, b'{"error": "not found"}', X_Error_Code=f"{what}NotFound")

    def respond(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.keys.add(self.headers.get("Authorization", ""))
        tree, resolve = f"/api/datasets/{NAME}/tree/main", f"/datasets/{NAME}/resolve/main/"
        if self.command == "POST":
            self.tell_of_some()
        elif self.hub.busy:
            self.hub.busy -= 1
            self.answer(503)
        elif path.startswith(tree):
            entries = self.hub.tree(path.removeprefix(tree).strip("/"))
            self.lacks("Entry") if entries is None else self.tell(entries)
        elif path in (f"/api/datasets/{NAME}", f"/api/datasets/{NAME}/revision/main"):
            self.tell({"id": NAME, "sha": "0" * 40, "siblings": [], "private": False, "tags": []})
        elif path.startswith(resolve):
            self.send_file(self.hub.files[path.removeprefix(resolve)])
        else:
            self.lacks("Repo")

    def send_file(self, content: bytes) -> None:
        span = self.headers.get("Range")
        first, _, last = (span or "bytes=0-").removeprefix("bytes=").partition("-")
        self.answer(206 if span else 200, content[int(first) : int(last) + 1 if last else None])

    def tell_of_some(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        paths = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text)["paths"]
        self.tell([self.hub.entry(path) for path in paths if path in self.hub.files])


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A new hub, which `hf://` means for as long as it is there (as with `FSSPEC_HF_ENDPOINT`)."""
    hub = HubServer()
    with LocalServer(type("Handler", (_Handler,), {"hub": hub})) as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(conf, "hf", {"endpoint": f"http://127.0.0.1:{server.port}"})
        patch.setenv("HF_TOKEN", f"hf_token_for_{server.port}")  # another connection each time
        yield hub
