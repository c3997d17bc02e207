"""The handbook as a site: whole, and nothing in it comes from elsewhere."""

import functools
import http.server
import logging
import re
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

pytest.importorskip("material", reason="the site's generator is not installed: the extra docs")
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parents[2]
LOADING = {"link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src", "object": "data"}


def config(**changes: object):
    return load_config(str(ROOT / "mkdocs.yml"), **changes)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: any warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        build(config(site_dir=str(folder)))
    return folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Builds a handbook of a few pages by our own configuration; gives what its pages say and what is complained of."""

    def make(pages: dict[str, str], nav: list[str]) -> tuple[dict[str, str], list[str]]:
        settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
        settings |= {"nav": nav, "hooks": [str(ROOT / "scripts" / "handbook.py")]}
        settings["plugins"] = ["search"]
        (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings), "utf-8")
        for name, text in pages.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        complaints: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: complaints.append(record.getMessage())
        logging.getLogger("mkdocs").addHandler(handler)
        try:
            build(load_config(str(tmp_path / "mkdocs.yml")))
        except Abort:
            assert complaints
        finally:
            logging.getLogger("mkdocs").removeHandler(handler)
        built = tmp_path / "site"
        return {
            page.relative_to(built).as_posix(): page.read_text("utf-8") for page in built.rglob("*.html")
        }, complaints

    return make


class Loaded(HTMLParser):
    """What a page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADING and given.get("rel") not in ("canonical", "prev", "next"):
            self.places.append(given.get(LOADING[tag]) or "")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > 40
    for page in pages:
        for place in Loaded(page.read_text("utf-8")).places:
            assert not place.startswith(("http:", "https:", "//")), (page.name, place)
            path = place.partition("#")[0].partition("?")[0]
            if path and page.name != "404.html":
                assert (page.parent / path).exists(), (page.name, place)
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//|@import", sheet.read_text("utf-8")) == [], sheet.name


def test_pages_read_as_they_were_written(site: Path) -> None:
    """Lists, tables and bars that GitHub shows, the site shows too."""
    for page in site.rglob("*.html"):
        if "/source/" in page.as_posix():
            continue
        text = re.sub(r"<(pre|code|script|svg)\b.*?</\1>", "", page.read_text("utf-8"), flags=re.S)
        body = text.partition("<article")[2].partition("</article>")[0]
        assert re.findall(r"^\s*(?:[-*] |\d+\. |\|).*", body, re.M) == [], page.name
        assert re.findall(r"\]\([^)]*\)|\*\*\w|^#+ .*", body, re.M) == [], page.name
    assert "&lt;|im_start|&gt;" in (site / "formats.html").read_text("utf-8")


def test_what_is_wrong_with_a_page_fails_the_build(small) -> None:
    _, complaints = small(
        {
            "docs/index.md": "# Home\n\n[gone](gone.md) [no such part](other.md#nowhere) ![picture](gone.png)\n",
            "docs/other.md": "# Other\n\n## Here\n",
            "docs/forgotten.md": "# Forgotten\n",
        },
        ["index.md", "other.md", "missing.md"],
    )
    said = "\n".join(complaints)
    for fault in ("forgotten.md", "missing.md", "gone.md", "#nowhere", "gone.png"):
        assert fault in said, (fault, said)


def test_links_pictures_and_drawings(small) -> None:
    pages, complaints = small(
        {
            "docs/index.md": "# Home\n\n[why](../SECURITY.md#why) and [the code](../src/a.py)\n\n"
            "![the lab](lab-light.webp)\n\n![how it works](flow.svg)\n\n`[kept](../as/it.is)`\n\n"
            "| a | b |\n|---|---|\n| `x\\|y` | z |\n",
            "docs/lab-light.webp": "",
            "docs/lab-dark.webp": "",
            "docs/flow.svg": "<svg><style>.a { fill: red }</style>\n\n<text>to</text></svg>",
            "SECURITY.md": "# Security\n\n## Why\n\n[a file](src/a.py), [back](docs/index.md)\n",
            "src/a.py": "print('hello')\n",
        },
        ["index.md", "security.md"],
    )
    assert complaints == []
    home = pages["index.html"]
    assert 'href="security.html#why"' in home
    assert 'href="source/src/a.py.html"' in home
    assert 'src="lab-light.webp#only-light"' in home
    assert 'src="lab-dark.webp#only-dark"' in home
    assert 'aria-label="how it works"' in home
    assert "<text>to</text>" in home
    assert "fill: red" not in home
    assert "<code>[kept](../as/it.is)</code>" in home
    assert "<code>x|y</code>" in home
    assert 'href="index.html"' in pages["security.html"]
    assert "hello" in pages["source/src/a.py.html"]


def test_a_reader_searches_and_sees_dark_pages_as_they_like(site: Path, browser) -> None:
    asked: list[str] = []
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}/"
        page = browser.new_context(color_scheme="dark", viewport={"width": 390, "height": 800}).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{home}studio.html")
        assert page.evaluate("document.body.scrollWidth <= innerWidth"), "wider than a telephone"
        assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
        shown = page.locator("article img:visible")
        assert {"-dark." in shown.nth(i).get_attribute("src") for i in range(shown.count())} == {True}
        page.locator("label[for=__search]").first.click()
        page.get_by_role("textbox", name="Search").press_sequentially("hypergeometric")
        page.locator(".md-search-result__link", has_text="cascade").first.click()
        page.wait_for_url("**/cascade.html**")
        server.shutdown()
    assert [url for url in asked if not url.startswith(home)] == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
