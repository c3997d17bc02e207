"""An S3 server on this machine (moto's), and a proxy before it that misbehaves as told.

with object_store() as store, store.misbehaving(lambda request, number: "503" if number < 2 else None):
    store.put("a.jsonl", b"…")
    open_source(store.url("a.jsonl"))
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from local_server import LocalServer

SECRET, BUCKET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY", "talks"
Fault = str | None
Script = Callable[[str, int], Fault]
"""From the request's first line (`GET /talks/a.jsonl HTTP/1.1`) and its number (from 0) to a fault, or none."""
_ALONE = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}


class ObjectStore:
    """A server with one bucket, `talks`; `requests` are the first lines of what passed the proxy."""

    def __init__(self, port: int, client: Any) -> None:
        self.port, self.client = port, client
        self.requests: list[str] = []
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def url(self, key: str = "") -> str:
        """The URL of an object or a folder."""
        return f"s3://{BUCKET}/{key}"

    def put(self, key: str, content: bytes | str) -> None:
        """Make or replace an object."""
        self._backend.put_object(BUCKET, key, content.encode() if isinstance(content, str) else content)

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def names(self, prefix: str = "") -> list[str]:
        """The names of the objects."""
        return sorted(key for key in self._backend.buckets[BUCKET].keys if key.startswith(prefix))

    def uploads(self) -> list[str]:
        """The names of uploads in parts that were begun and are not ended."""
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]

    def empty(self) -> None:
        """Delete every object."""
        self._backend.buckets[BUCKET].keys.clear()

    @contextmanager
    def misbehaving(self, script: Script = lambda request, number: None) -> Iterator[None]:
        """Put a proxy before the server, for those who ask `AWS_ENDPOINT_URL`."""
        self.requests = []
        proxy = _Proxy(self.port, script, self.requests)
        with proxy, patch.dict(os.environ, AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}"):
            yield


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A new server, which the environment names, with keys for it."""

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
    keys |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}"}
    try:
        with patch.dict(os.environ, keys):
            client = boto3.client("s3")
            client.create_bucket(Bucket=BUCKET)
            store = ObjectStore(server.port, client)
            store.empty()  # the servers of a process have one store
            yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Proxy(LocalServer):
    def __init__(self, port: int, script: Script, requests: list[str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # whoever sent it was killed
                    self.close_connection = True
                    return
                requests.append(unquote(self.requestline))
                fault = script(unquote(self.requestline), len(requests) - 1)
                if fault == "503":
                    self._answer(503, {}, b"<Error><Code>SlowDown</Code><Message>Please slow down</Message></Error>")
                    return
                if fault == "hang":
                    time.sleep(1.0)
                    self.close_connection = True
                    return
                server = HTTPConnection("127.0.0.1", port)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _ALONE}
                server.request(self.command, self.path, body, headers | {"Host": f"127.0.0.1:{port}"})
                response = server.getresponse()
                content = response.read()
                if fault == "reset":
                    self._answer(response.status, dict(response.getheaders()), content, content[: len(content) // 2])
                    self.close_connection = True
                    return
                self._answer(response.status, dict(response.getheaders()), content)

            def _answer(self, status: int, headers: dict[str, str], content: bytes, sent: bytes | None = None) -> None:
                size = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _ALONE:
                        self.send_header(name, value)
                self.send_header("Content-Length", size or str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content if sent is None else sent)

            def log_message(self, *_: Any) -> None:
                pass

        for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._forward)
        super().__init__(Handler)
