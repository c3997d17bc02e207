"""A service that runs: the real application on a free port, in a thread.

with serving(tmp_path / "kept") as served:
    status, headers, answer = served.ask("/v1/score", {"context": "I failed.", "response": "Oh no."})
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from efficient_empathy.service.app import make_app
from efficient_empathy.service.serving import Served, load_served
from efficient_empathy.service.settings import ServiceSettings
from efficient_empathy.service.tokens import Tokens
from efficient_empathy.service.tracing import Spans
from efficient_empathy.web.connections import Limits
from efficient_empathy.web.server import listen, make_server
from server_threads import in_a_thread

SAMPLE = {"context": "i failed my exam and i am afraid to tell my parents .", "response": "oh no , i am so sorry ."}
MESSAGES = [
    {"role": "user", "content": "I lost my keys again."},
    {"role": "assistant", "content": "That is annoying! Where did you have them last?"},
    {"role": "user", "content": "In the park, with my dog."},
    {"role": "assistant", "content": "I would go back there now, and ask at the office tomorrow."},
]


@cache
def bundled() -> Served:
    """What a service without a run serves, loaded once."""
    return load_served(ServiceSettings(threads=2), None)


@dataclass(frozen=True)
class Running:
    """A running service."""

    port: int
    app: Any

    def ask(
        self, path: str, content: Any = None, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> tuple[int, Any, Any]:
        """The status, the headers and the JSON of an answer; bytes go out as they are, all else as JSON."""
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, answer.headers, json.loads(text) if text.startswith(("{", "[")) else text
        finally:
            connection.close()

    def score(self, content: Any, query: str = "") -> Any:
        """The answer to what can be scored."""
        status, _, answer = self.ask(f"/v1/score{query}", content)
        assert status == 200, answer
        return answer


@contextlib.contextmanager
def serving(
    folder: Path | None = None,
    served: Served | None = None,
    limits: Limits | None = None,
    spans: Spans | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """A service of `served`, by default the bundled judge, that keeps its counts in `folder`."""
    options = ServiceSettings(**settings)
    tokens = Tokens(options.token_file)
    listening = listen("127.0.0.1", 0, what="the service")
    app = make_app(served or bundled(), options, tokens, folder=folder, spans=spans)
    with in_a_thread(make_server(app, limits, patience_s=20), listening, "the service", 30):
        yield Running(listening.getsockname()[1], app)
