"""A proxy on this machine that notes what it is told and refuses, or answers in the server's place."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

from local_server import LocalServer
from misbehaviours import completion


class ProxyServer(LocalServer):
    """A context manager; `requests` are the first line and the headers of each request, as one text.

    A CONNECT is answered with `status` and a line that repeats its headers; any other request with a completion.
    """

    def __init__(self, status: int = 502) -> None:
        self.requests: list[str] = []
        noted = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                noted.append(f"{self.requestline}\n{self.headers}")
                self.send_response(status, f"no tunnel for {self.headers.get('Proxy-Authorization', 'nobody')}")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                noted.append(f"{self.requestline}\n{self.headers}")
                self.rfile.read(int(self.headers["Content-Length"]))
                body = completion()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)
        self.place = f"127.0.0.1:{self.port}"
