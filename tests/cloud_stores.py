"""Google's and Azure's object stores on this machine, as far as reading and writing small objects asks them.

with google_store() as store:
    store.objects["talks/a.jsonl"] = b"…"
    open_source(store.url("talks/"))
"""

from __future__ import annotations

import base64
import email
import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from local_server import AnsweringHandler, LocalServer

BUCKET, ACCOUNT = "talks-of-mine", "acme"


class CloudStore:
    """The objects of one bucket by name; `busy` are the requests yet to be answered with 503."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self.objects: dict[str, bytes] = {}
        self.busy = 0

    def url(self, key: str = "", bucket: str = BUCKET) -> str:
        """The URL of an object or a folder."""
        return f"{self._scheme}://{bucket}/{key}"

    def listing(self, prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
        """The names that begin so, and those of folders among them."""
        names = [name for name in sorted(self.objects) if name.startswith(prefix)]
        if not delimiter:
            return names, []
        rest = {name: name.removeprefix(prefix).partition(delimiter) for name in names}
        folders = {f"{prefix}{head}{delimiter}" for head, found, _ in rest.values() if found}
        return [name for name in names if not rest[name][1]], sorted(folders)


def md5(content: bytes) -> str:
    """As both stores write it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()


class _Handler(AnsweringHandler):
    store: CloudStore

    query: dict[str, str]
    body: bytes

    def respond(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.store.busy:
            self.store.busy -= 1
            self.answer(503)
        else:
            self.serve(unquote(parts.path))

    @abstractmethod
    def serve(self, path: str) -> None:
        """Answer a request about what lies at a path."""

    def send_object(self, content: bytes, span: str | None, **headers: str) -> None:
        if span is None:
            self.answer(200, content, **headers)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content)), len(content) - 1)
        where = f"bytes {start}-{end}/{len(content)}"
        self.answer(206, content[start : end + 1], Content_Range=where, **headers)


class _Google(_Handler):
    """The JSON API: https://cloud.google.com/storage/docs/json_api."""

    def serve(self, path: str) -> None:
        objects, place = self.store.objects, f"/b/{BUCKET}/o"
        name = path.partition(f"{place}/")[2]
        if place not in path:
            self.answer(404, b'{"error": {"code": 404, "message": "The specified bucket does not exist."}}')
        elif self.command == "POST":
            message = f"Content-Type: {self.headers['Content-Type']}\n\n".encode() + self.body
            about, content = email.message_from_bytes(message).get_payload()
            name = json.loads(about.get_payload())["name"]
            objects[name] = content.get_payload(decode=True)
            self.tell(self.about(name))
        elif not name:
            names, folders = self.store.listing(self.query.get("prefix", ""), self.query.get("delimiter", ""))
            self.tell({"kind": "storage#objects", "items": [self.about(n) for n in names], "prefixes": folders})
        elif name not in objects:
            self.answer(404, b'{"error": {"code": 404, "message": "No such object"}}')
        elif self.command == "DELETE":
            del objects[name]
            self.answer(204)
        elif self.query.get("alt") == "media":
            self.send_object(objects[name], self.headers.get("Range"))
        else:
            self.tell(self.about(name))

    def tell(self, content: object) -> None:
        self.answer(200, json.dumps(content).encode(), Content_Type="application/json")

    def about(self, name: str) -> dict[str, str]:
        content = self.store.objects[name]
        return {"kind": "storage#object", "name": name, "size": str(len(content)), "md5Hash": md5(content)}


class _Azure(_Handler):
    """Blobs: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api."""

    def serve(self, path: str) -> None:
        objects = self.store.objects
        container, _, name = path.removeprefix(f"/{ACCOUNT}/").partition("/")
        if container != BUCKET:
            self.answer(404, x_ms_error_code="ContainerNotFound")
        elif self.query.get("comp") == "list":
            self.answer(200, self.listed().encode(), Content_Type="application/xml")
        elif self.query.get("restype") == "container":
            self.answer(200, **self.about(b""))
        elif self.command == "PUT":
            objects[name] = self.body
            self.answer(201, **self.about(self.body))
        elif name not in objects:
            self.answer(404, x_ms_error_code="BlobNotFound")
        elif self.command == "DELETE":
            del objects[name]
            self.answer(202)
        else:
            span = self.headers.get("x-ms-range") or self.headers.get("Range")
            content = objects[name]
            headers = {**self.about(content), "x_ms_blob_type": "BlockBlob"}
            self.send_object(content, span, **headers)

    def about(self, content: bytes) -> dict[str, str]:
        return {"ETag": f'"{md5(content)}"', "Last_Modified": formatdate(0, usegmt=True)}

    def listed(self) -> str:
        names, folders = self.store.listing(self.query.get("prefix", ""), self.query.get("delimiter", ""))
        blobs = [
            f"<Blob><Name>{escape(name)}</Name><Properties><Content-Length>{len(self.store.objects[name])}"
            f"</Content-Length><Etag>{md5(self.store.objects[name])}</Etag><Last-Modified>{formatdate(0, usegmt=True)}"
            "</Last-Modified><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name in names
        ]
        prefixes = [f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in folders]
        found = f"<Blobs>{''.join(blobs + prefixes)}</Blobs><NextMarker/>"
        return f'<EnumerationResults ContainerName="{BUCKET}">{found}</EnumerationResults>'


@contextmanager
def google_store() -> Iterator[CloudStore]:
    """A new store, which `gs://` means for as long as it is there."""
    store = CloudStore("gs")
    with LocalServer(type("Handler", (_Google,), {"store": store})) as server:
        variables = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.port}", "FSSPEC_GS_TOKEN": "anon"}
        with patch.dict(os.environ, variables):
            yield store


@contextmanager
def azure_store() -> Iterator[CloudStore]:
    """A new store, which `az://` means for as long as it is there."""
    store = CloudStore("az")
    with LocalServer(type("Handler", (_Azure,), {"store": store})) as server:
        connection = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": ACCOUNT,
            "AccountKey": base64.b64encode(b"a key of nobody's").decode(),
            "BlobEndpoint": f"http://127.0.0.1:{server.port}/{ACCOUNT}",
        }
        text = ";".join(f"{name}={value}" for name, value in connection.items())
        with patch.dict(os.environ, {"AZURE_STORAGE_CONNECTION_STRING": text}):
            yield store
