"""A real browser for pages that people look at: Chromium, headless, without a network of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Programs, the best first: without windows to draw, Chromium takes half the processor time."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


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
RUN_AXE = """async () => {
    const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    return (await axe.run({ runOnly, resultTypes: ["violations"] })).violations;
}"""
"""What is in order is found all the same, but neither described node by node nor sent."""
VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Visit:
    """An open page, what it said on the console, and what it asked for beside itself."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips the test where there is no Chromium or no playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: install chromium-headless-shell or chromium to look at pages")
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


def run_async(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run` in a thread of its own: where a browser is open, its loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@contextlib.contextmanager
def visit_url(browser: Any, url: str, **options: Any) -> Iterator[Visit]:
    """One address, and the page closed again; `options` are those of `open_page`.

    `console` has everything that the page said, violations of its content-security policy included; `requests` every
    address that it asked for.
    """
    visit = open_page(browser, url, **options)
    try:
        yield visit
    finally:
        visit.page.context.close()


@contextlib.contextmanager
def visit(browser: Any, path: Path, **options: Any) -> Iterator[Visit]:
    """A file, as `visit_url` opens an address; `requests` is what it asked for beside itself."""
    address = path.resolve().as_uri()
    with visit_url(browser, address, **options) as seen:
        seen.requests.remove(address)
        yield seen


def axe(page: Any) -> list[str]:
    """What axe-core finds wrong with a page, one line a violation: `rule: help (target)`; empty when all is well."""
    page.evaluate(AXE.read_text("utf-8"))
    violations = page.evaluate(RUN_AXE)
    return [
        f"{violation['id']}: {violation['help']} ({node['target'][0]}: {node.get('failureSummary', '')})"
        for violation in violations
        for node in violation["nodes"]
    ]


def text_of(page: Any) -> str:
    """All the text of a page, what is hidden, read aloud or an address included; none is a value that is no text."""
    texts = page.evaluate(TEXTS)
    wrong = [one for one in texts if NO_TEXT.search(one)]
    assert not wrong, wrong
    return "\n".join(texts)


class Page(HTMLParser):
    """The parts of a page that tests ask for: tables by caption, all text, attributes of every tag."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._stack: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._stack.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._stack.pop() == tag, f"</{tag}> closes nothing"
        if tag == "table":
            self.tables[" ".join(self._caption.split())] = [[" ".join(c.split()) for c in row] for row in self._rows]

    def handle_data(self, data: str) -> None:
        if "style" in self._stack:
            return
        self.text += data
        if "caption" in self._stack:
            self._caption += data
        elif "td" in self._stack or "th" in self._stack:
            self._rows[-1][-1] += data

    def table(self, caption: str) -> list[list[str]]:
        """The body and head of the table whose caption starts so, row by row."""
        return next(rows for name, rows in self.tables.items() if name.startswith(caption))

    def count(self, tag: str, css_class: str | None = None) -> int:
        """How many tags there are, with a class if one is given."""
        return sum(t == tag and (css_class is None or css_class in a.get("class", "").split()) for t, a in self.tags)
