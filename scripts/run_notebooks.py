"""Runs the handbook's notebooks and writes the pages that show them with what they print.

The notebooks of docs/notebooks/ are kept without outputs; beside each lies a page of its name, written by this script.

python scripts/run_notebooks.py            # all of them
python scripts/run_notebooks.py mix judge
"""

from __future__ import annotations

import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
HEAD = "*This page is a notebook: [{name}]({name}). What it prints is from a laptop's processor.*"


def execute(path: Path, folder: Path) -> Any:
    """The notebook with its outputs, run in a folder; a cell that fails raises."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as sockets:  # and no ports, which others could reach
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        NotebookClient(notebook, km=kernel, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def page(notebook: Any, name: str) -> str:
    """A notebook as a page of the handbook; the first cell has the title."""
    first, *others = notebook.cells
    parts = [first.source, HEAD.format(name=name)]
    for cell in others:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts += [f"```python\n{cell.source}\n```", *map(output_text, cell.outputs)]
    return "\n\n".join(part for part in parts if part) + "\n"


def output_text(output: Any) -> str:
    """What a cell shows: a frame as a table, all else as text; nothing of what it says on stderr."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```" if output.name == "stdout" else ""
    if "text/html" in output.data:
        return Table(output.data["text/html"]).markdown()
    return f"```text\n{output.data['text/plain'].strip(chr(39))}\n```"


class Table(HTMLParser):
    """A frame's HTML: its rows of text, without the row of types."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Begin a row or a cell."""
        if tag == "tr":
            self.rows.append([])
        self._is_cell = tag in ("th", "td")
        if self._is_cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        self._is_cell = False

    def handle_data(self, data: str) -> None:
        """Add a cell's text."""
        if self._is_cell:
            self.rows[-1][-1] += data

    def markdown(self) -> str:
        """The table as Markdown; texts without their quotation marks."""
        head, _, *body = self.rows
        lines = [
            [cell.strip().strip('"').replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *body)
        ]
        lines.insert(1, ["---"] * len(head))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for path in [NOTEBOOKS / f"{name}.ipynb" for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            text = page(execute(path, Path(folder)), path.name)
        path.with_suffix(".md").write_text(text, "utf-8")
