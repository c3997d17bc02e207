"""A studio that runs: the real application on a free port, in a thread; pages of it open in `browser`.

with serving([run.root], tmp_path) as served, visit_url(browser, served.url + "/lab") as visit:
    visit.page.get_by_role("heading", name="Thresholds").wait_for()
    assert visit.console == []
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from efficient_empathy.studio.server.app import make_app
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.web.connections import Limits
from efficient_empathy.web.server import listen, make_server
from server_threads import in_a_thread


@dataclass(frozen=True)
class Served:
    """A running studio."""

    url: str
    """Without a slash at its end."""
    studio: Studio
    app: Starlette


@contextlib.contextmanager
def serving(runs: Sequence[Path], folder: Path, limits: Limits | None = None, **options: Any) -> Iterator[Served]:
    """A studio on `runs`, which keeps its own files in `folder`; `options` go to `make_app`."""
    host = options.get("host", "127.0.0.1")
    listening = listen(host, 0)
    port = listening.getsockname()[1]
    app = make_app(runs, port=port, folder=folder / "studio-state", **options)
    with in_a_thread(make_server(app, limits), listening, "the studio", 10):
        yield Served(f"http://127.0.0.1:{port}", app.state.studio, app)


def ask(
    served: Served,
    path: str = "/",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] | None = None,
    source: str = "127.0.0.1",
) -> tuple[int, Any, str]:
    """The status, the headers and the text of an answer; path and headers go out as they are, Host included.

    `source` is the address that asks: any of 127.0.0.0/8.
    """
    connection = http.client.HTTPConnection("127.0.0.1", served.studio.port, timeout=10, source_address=(source, 0))
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()
