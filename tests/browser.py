"""A real browser for pages that people look at: Chromium, headless, without a network of its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest

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


VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Visit:
    """An open page, what it said on the console, and what it asked for beside itself."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def visit(path: Path, *, width: int = 1280, scheme: Literal["light", "dark"] = "light") -> Iterator[Visit]:
    """Open a file; skips the test where there is no Chromium or no playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: install chromium to look at pages")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            seen = Visit(page)
            page.on("console", lambda message: seen.console.append(message.text))
            page.on("pageerror", lambda error: seen.console.append(str(error)))
            page.on("request", lambda request: seen.requests.append(request.url))
            page.goto(path.resolve().as_uri())
            seen.requests.remove(path.resolve().as_uri())
            yield seen
        finally:
            browser.close()


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
