"""The notebooks run from the first cell to the last, and their pages on the site show what they show."""

import re
from pathlib import Path

import pytest

from repository_scripts import load_script

nbformat = pytest.importorskip("nbformat", reason="notebooks need nbformat, nbclient and ipykernel: the extra dev")
pytest.importorskip("nbclient", reason="notebooks need nbformat, nbclient and ipykernel: the extra dev")
pytest.importorskip("ipykernel", reason="notebooks need nbformat, nbclient and ipykernel: the extra dev")
pytest.importorskip("trl", reason='mixing needs the extra "train"')

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def script():
    return load_script("run_notebooks")


def without_figures(page: str) -> str:
    """A page without figures, which another processor may round in another way: of each output its kind alone."""
    page = re.sub(r"^```text\n.*?^```$", "```text", page, flags=re.M | re.S)
    return re.sub(r"^(\|.*\|\n\|[ -|]*\|)(?:\n\|.*\|)*", r"\1", page, flags=re.M)


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["judge", "mix", "select"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_page_shows_it(path: Path, script, tmp_path: Path) -> None:
    kept = nbformat.read(path, as_version=4)
    assert [cell.outputs for cell in kept.cells if cell.cell_type == "code" and cell.outputs] == []
    assert [cell.execution_count for cell in kept.cells if cell.cell_type == "code" and cell.execution_count] == []
    page = script.page(script.execute(path, tmp_path), path.name)
    assert page.count("\n| --- |") >= 2
    shown = path.with_suffix(".md").read_text("utf-8")
    assert without_figures(page) == without_figures(shown), "run python scripts/run_notebooks.py"
