"""What the handbook's site needs besides mkdocs: a hook that `mkdocs.yml` names.

The pages of docs/ read well beside the code too, so they may link to any file of the repository: these become pages of
the site, Markdown as it is and code as it reads. A picture `NAME-light.webp` brings `NAME-dark.webp` along, and a
drawing (SVG) stands in the page itself, so that both follow the reader's choice of light or dark.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

PLACES = {
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
}
"""Pages that are files elsewhere in the repository, with a place of their own; all others lie below `source/`."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".sbatch": "bash"}
CODE = re.compile(r"^(?P<fence>`{3,}).*?^(?P=fence)\s*$|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)", re.M | re.S)
LINK = re.compile(r"\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")
PICTURE = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<path>[^)\s]+)\)")
ROW = re.compile(r"^\|.*\|\s*$", re.M)


def on_files(files: Files, config: Any) -> Files:
    """Add the repository's files that a page links to, and those that these link to."""
    root, docs = folders(config)
    waiting = [Path(one.abs_src_path) for one in files.documentation_pages()]
    waiting += [root / path for path in PLACES if (root / path).is_file()]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.is_relative_to(docs):
            files.append(page_of(path, config))
        if path.suffix == ".md":
            targets = [
                (path.parent / link["path"]).resolve() for link in LINK.finditer(without_code(path.read_text("utf-8")))
            ]
            waiting += [
                one for one in targets if one.is_file() and one.is_relative_to(root) and not one.is_relative_to(docs)
            ]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A page's text with links, pictures and tables as the site needs them."""
    root, docs = folders(config)
    source = source_of(page.file, root, docs)
    if source.suffix != ".md":
        return markdown

    def link(match: re.Match[str]) -> str:
        target = (source.parent / match["path"]).resolve()
        place = place_of(target, root, docs) if target.is_relative_to(root) else ""
        if files.get_file_from_path(place) is None:
            return match[0]  # mkdocs says what is wrong with it
        here = posixpath.dirname(page.file.src_uri) or "."
        return f"]({posixpath.relpath(place, here)}{match['anchor'] or ''})"

    def change(text: str) -> str:
        return PICTURE.sub(partial(picture, source.parent), LINK.sub(link, text))

    return outside_code(ROW.sub(lambda row: plain_bars(row[0]), markdown), change)


def folders(config: Any) -> tuple[Path, Path]:
    """The repository's, and that of the handbook in it."""
    return Path(config.config_file_path).parent.resolve(), Path(config.docs_dir).resolve()


def place_of(path: Path, root: Path, docs: Path) -> str:
    """Where a file of the repository stands in the site."""
    if path.is_relative_to(docs):
        return path.relative_to(docs).as_posix()
    name = path.relative_to(root).as_posix()
    return PLACES.get(name, f"source/{name}" if path.suffix == ".md" else f"source/{name}.md")


def source_of(file: File, root: Path, docs: Path) -> Path:
    """The file of the repository that a page is made from."""
    place: str = file.src_uri
    if (docs / place).is_file():
        return docs / place
    for name, where in PLACES.items():
        if where == place:
            return root / name
    name = place.removeprefix("source/")
    return root / name if (root / name).is_file() else root / name.removesuffix(".md")


def page_of(path: Path, config: Any) -> File:
    """A file outside docs/ as a page of the site; code is not searched."""
    root, docs = folders(config)
    place, text = place_of(path, root, docs), path.read_text("utf-8")
    if path.suffix != ".md":
        language, name = LANGUAGES.get(path.suffix, "text"), path.relative_to(root).as_posix()
        text = f"---\nsearch:\n  exclude: true\n---\n# `{path.name}`\n\n`{name}`\n\n````{language}\n{text}\n````\n"
    in_nav = place in PLACES.values()
    return File.generated(
        config, place, content=text, inclusion=InclusionLevel.INCLUDED if in_nav else InclusionLevel.NOT_IN_NAV
    )


def picture(folder: Path, match: re.Match[str]) -> str:
    """A picture for the scheme that the reader has chosen, where there are two; a drawing as a part of the page."""
    path = folder / match["path"]
    if path.suffix == ".svg" and path.is_file():
        return drawing(path, match["words"])
    dark = path.with_name(path.name.replace("-light.", "-dark."))
    if dark == path or not dark.is_file():
        return match[0]
    other = match["path"].replace("-light.", "-dark.")
    return f"![{match['words']}]({match['path']}#only-light)![{match['words']}]({other}#only-dark)"


def drawing(path: Path, words: str) -> str:
    """An SVG without its own colours, which the site's style sheet has."""
    svg = path.read_text("utf-8")
    svg = re.sub(r"<style>.*?</style>\s*", "", svg[svg.index("<svg") :], flags=re.S)
    svg = "\n".join(line for line in svg.splitlines() if line.strip())
    return f'<figure class="drawing" role="img" aria-label="{escape(words, quote=True)}">\n{svg}\n</figure>'


def without_code(markdown: str) -> str:
    """The text outside code."""
    return CODE.sub("", markdown)


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """`markdown` with all that is not code changed."""
    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [change(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(markdown[end:])])


def plain_bars(row: str) -> str:
    """A table's row whose code has bars: GitHub wants them escaped, Python-Markdown would show the backslash."""
    return CODE.sub(lambda code: code[0].replace(r"\|", "|"), row)
