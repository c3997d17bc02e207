"""A studio that runs: the real application on a free port, in a thread, and a browser that visits it.

with serving([run.root], tmp_path) as served, visit_url(served.url + "/lab") as visit:
    visit.page.get_by_role("heading", name="Thresholds").wait_for()
    assert visit.console == []
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from starlette.applications import Starlette

from browser import ARGUMENTS, Visit
from efficient_empathy.studio.server.app import listen, make_app, make_server
from efficient_empathy.studio.server.context import Studio

NO_TEXT = re.compile(r"\[object \w+\]|\bundefined\b|\bNaN\b|\bnull\b|\bNone\b(?! \w)|\bInfinity\b")
TEXTS = """() => {
    const found = [document.title];
    for (const one of document.querySelectorAll("details")) one.open = true;
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const { data, parentElement } = texts.currentNode;
        if (!parentElement.closest("script, style")) found.push(data);
    }
    for (const name of ["aria-label", "title", "placeholder", "alt", "value", "href", "class"])
        for (const one of document.querySelectorAll(`[${name}]`)) found.push(one.getAttribute(name));
    return found;
}"""
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@dataclass(frozen=True)
class Served:
    """A running studio."""

    url: str
    """Without a slash at its end."""
    studio: Studio
    app: Starlette


@contextlib.contextmanager
def serving(runs: Sequence[Path], folder: Path, **options: Any) -> Iterator[Served]:
    """A studio on `runs`, which keeps its own files in `folder`; `options` go to `make_app`."""
    host = options.get("host", "127.0.0.1")
    listening = listen(host, 0)
    port = listening.getsockname()[1]
    app = make_app(runs, port=port, folder=folder / "studio-state", **options)
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{port}", app.state.studio, app)
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive(), "the studio does not stop"


def ask(
    served: Served,
    path: str = "/",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] | None = None,
) -> tuple[int, Any, str]:
    """The status, the headers and the text of an answer; path and headers go out as they are, Host included."""
    connection = http.client.HTTPConnection("127.0.0.1", served.studio.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips the test where there is no Chromium or no playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: install chromium to look at pages")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(
    browser: Any, url: str, *, width: int = 1280, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> Visit:
    """A page in a session of its own (no cookie of another page), and what it said and asked for."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(10_000)
    seen = Visit(page)
    page.on("console", lambda message: seen.console.append(message.text))
    page.on("pageerror", lambda error: seen.console.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    answer = page.goto(url)
    if answer is not None and answer.ok and ("link=" in url or "token=" in url):  # a page that goes on by itself
        page.wait_for_url(lambda now: "link=" not in now and "token=" not in now)
    return seen


@contextlib.contextmanager
def visit_url(
    url: str, *, width: int = 1280, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Visit]:
    """Open one address in a browser of its own; skips the test where there is none.

    `console` has everything that the page said, violations of its content-security policy included; `requests` every
    address that it asked for.
    """
    with chromium() as browser:
        yield open_page(browser, url, width=width, height=height, scheme=scheme)


def axe(page: Any) -> list[str]:
    """What axe-core finds wrong with a page, one line a violation: `rule: help (target)`; empty when all is well."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
    )
    return [
        f"{violation['id']}: {violation['help']} ({node['target'][0]}: {node.get('failureSummary', '')})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def text_of(page: Any) -> str:
    """All the text of a page, what is hidden, read aloud or an address included; none is a value that is no text."""
    texts = page.evaluate(TEXTS)
    wrong = [one for one in texts if NO_TEXT.search(one)]
    assert not wrong, wrong
    return "\n".join(texts)
