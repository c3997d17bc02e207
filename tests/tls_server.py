"""A chat server on this machine whose certificate nobody has signed but itself."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from local_server import LocalServer
from misbehaviours import completion


class TLSServer(LocalServer):
    """A context manager; `requests` are the headers of each request, as one text, and `certificate` is its file."""

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("there is no openssl to make a certificate with")
        self.certificate, key = folder / "cert.pem", folder / "key.pem"
        options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        command = [openssl, *options.split(), "-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True)
        self.requests: list[str] = []
        noted = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                noted.append(str(self.headers))
                self.rfile.read(int(self.headers["Content-Length"]))
                body = completion()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self.port}/v1"
