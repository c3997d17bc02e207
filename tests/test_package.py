"""The wheel and the source archive: all that belongs in them and, by `make package`, that they work on their own."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

pytest.importorskip("hatchling", reason="what builds the package is not installed: pip install hatchling")

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "efficient_empathy"
ASSETS = PACKAGE / "assets"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
in_make_package = pytest.mark.skipif("PACKAGE_TESTS" not in os.environ, reason="minutes, from PyPI: `make package`")
SMALL = ("train.max_steps=2", "mix.max_samples=32", "generate.samples=2", "generate.max_new_tokens=8", "sweep=null")
"""The recipe `demo` with less of everything."""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source archive, made as for a release."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def build(source: Path, folder: Path) -> tuple[Path, Path]:
    command = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,), (archive,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, archive


def package_files() -> set[str]:
    """Every file of the package, by its path in a wheel."""
    files = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    files |= {f"efficient_empathy/assets/recipes/{path.name}" for path in (ROOT / "recipes").iterdir()}
    return {name for name in files if "__pycache__" not in name}


def front_matter(card: Path) -> dict[str, str]:
    return dict(yaml.safe_load(card.read_text("utf-8").split("---\n")[1]))


def test_the_wheel_holds_the_package_and_nothing_else(archives: tuple[Path, Path]) -> None:
    files = package_files()
    kinds = {Path(name).suffix for name in files}
    assert kinds >= {".j2", ".js", ".css", ".yaml", ".txt", ".typed", ".jinja", ".onnx", ".safetensors", ".jsonl"}
    with zipfile.ZipFile(archives[0]) as wheel:
        assert {name for name in wheel.namelist() if ".dist-info/" not in name} == files
        for name in ("assets/recipes/demo.yaml", "assets/judge/model.onnx", "scoring/rubrics/empathy.yaml"):
            assert wheel.read(f"efficient_empathy/{name}") == (PACKAGE / name).read_bytes()


def test_the_source_archive_holds_all_that_the_wheel_is_made_of(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    recipes = {f"recipes/{path.name}" for path in (ROOT / "recipes").iterdir()}
    assert names >= recipes | {f"src/{name}" for name in package_files() if "/recipes/" not in name}
    assert names >= {
        "LICENSE",
        "CITATION.cff",
        "README.md",
        "SECURITY.md",
        "constraints.txt",
        "hatch_build.py",
        "pyproject.toml",
    }
    assert all(member.isfile() for member in members), "links may lead nowhere elsewhere"
    assert not {name for name in names if re.match(r"runs/|site/|\.venv|.*__pycache__", name)}


def test_every_part_comes_with_its_licence(archives: tuple[Path, Path]) -> None:
    cards = {path.name: front_matter(path / "README.md") for path in ASSETS.iterdir() if path.name != "recipes"}
    with zipfile.ZipFile(archives[0]) as wheel:
        folder = f"efficient_empathy-{PROJECT['version']}.dist-info"
        metadata = Parser().parsestr(wheel.read(f"{folder}/METADATA").decode())
        kept = {name.removeprefix(f"{folder}/licenses/") for name in wheel.namelist()}
    licences = {one.lower() for one in metadata["License-Expression"].split(" AND ")}
    assert licences == {"apache-2.0", *(card["license"] for card in cards.values())}
    assert kept >= {"LICENSE", *(f"src/efficient_empathy/assets/{name}/README.md" for name in cards)}
    table = re.findall(r"^\| \[?`(\w+)`.*?\| .*? \| `([\w.-]+)` \|", (ROOT / "docs" / "licences.md").read_text(), re.M)
    assert dict(table) == {name: card["license"] for name, card in cards.items()} | {"recipes": "apache-2.0"}


def test_the_citation_is_whole() -> None:
    """By the Citation File Format 1.2.0: what it requires, and what of it may differ from the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert citation.keys() >= {"message", "title", "authors", "version", "license", "references"}
    assert citation["version"] == PROJECT["version"]
    assert citation["keywords"] == PROJECT["keywords"]
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert all(author.keys() in ({"name"}, {"family-names", "given-names"}) for author in work["authors"])
    (paper,) = citation["references"]
    assert paper["url"].rpartition("/")[2] in paper["doi"]
    assert paper["url"] in (ROOT / "README.md").read_text("utf-8")


def python_of(version: str) -> Path | None:
    """An interpreter of a version on this machine: on the PATH, or pyenv's."""
    found = [shutil.which(f"python{version}")]
    found += sorted(map(str, (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")))
    for one in filter(None, found):
        said = subprocess.run([one, "--version"], capture_output=True, text=True).stdout
        if said.startswith(f"Python {version}."):
            return Path(one)
    return None


class Environment:
    """An empty environment of one Python."""

    def __init__(self, python: Path, folder: Path) -> None:
        subprocess.run([python, "-m", "venv", folder], check=True)
        self.folder = folder

    def install(self, *what: str) -> None:
        constraints = ("-c", str(ROOT / "constraints.txt"))
        self("python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *constraints, *what)

    def __call__(self, program: str, *arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OMP_NUM_THREADS": "1"}
        environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP", "SSL_"))}
        command = [self.folder / "bin" / program, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


@in_make_package
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_runs_the_demo_on_its_own(version: str, archives: tuple[Path, Path], tmp_path: Path) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on the PATH or among pyenv's")
    environment = Environment(python, tmp_path / "own")
    environment.install(str(archives[0]))
    assert environment("efficient-empathy", "--version").strip() == PROJECT["version"]
    result = json.loads(environment("efficient-empathy", "demo", "--run", "runs/demo", "--json"))
    assert result["run"] == "runs/demo"
    assert (environment.folder / "runs" / "demo" / "selection" / "sensibility.jsonl").stat().st_size > 10_000
    environment("python", "-c", "import sys, efficient_empathy.api; assert 'torch' not in sys.modules")


@in_make_package
def test_the_source_archive_trains_and_mixes_on_its_own(archives: tuple[Path, Path], tmp_path: Path) -> None:
    environment = Environment([python for version in VERSIONS if (python := python_of(version))][-1], tmp_path / "own")
    (torch,) = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    environment.install(torch)
    environment.install(f"efficient-empathy[train,eval] @ file://{archives[1]}")
    changes = [part for change in SMALL for part in ("--set", change)]
    environment("efficient-empathy", "run", "demo", "--run", "runs/demo", *changes)
    comparison = json.loads((environment.folder / "runs" / "demo" / "comparison.json").read_text("utf-8"))
    assert {model["name"] for model in comparison["models"]} >= {"base", "sensibility", "rationality", "average", "moe"}


@in_make_package
def test_the_source_archive_makes_the_same_wheel(archives: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(archives[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again, _ = build(source, tmp_path / "dist")
    assert contents(again) == contents(archives[0])


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
