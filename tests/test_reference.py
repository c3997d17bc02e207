import ast
import importlib
import sys
from pathlib import Path

import pytest

from efficient_empathy.cli import COMMANDS
from efficient_empathy.cli.lazy import commands_of
from efficient_empathy.dialogues.formats import FORMATS
from efficient_empathy.foundation.settings import fields_of
from repository_scripts import load_script

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def reference():
    return load_script("write_reference")


def settings_classes() -> list[str]:
    """Every class of the package that is written as a settings model."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                marks = [ast.unparse(decorator) for decorator in node.decorator_list]
                own = [
                    one for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one)
                ]
                if bases == ["Settings"] and not own:
                    continue  # the base of others, without an option
                if any(base.endswith("Settings") for base in bases) or any("config=SETTINGS" in mark for mark in marks):
                    found.append(node.name)
    return sorted(found)


def test_the_pages_are_what_the_script_writes(reference) -> None:
    pages = reference.pages()
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    assert stale == [], "run python scripts/write_reference.py"
    assert {*(DOCS / "schemas").iterdir()} <= pages.keys(), "a schema whose record is gone"


def test_every_record_has_a_name_of_its_own(reference) -> None:
    names = [one.__name__ for one in reference.written_records()]
    assert sorted(names) == sorted({*names})


def test_every_record_has_its_place(reference) -> None:
    records = reference.all_records()
    assert [f"{one.__module__}.{one.__name__}" for one in records if not one.PLACE] == []


def test_a_record_is_found_and_shown_with_its_version(reference, tmp_path, monkeypatch) -> None:
    package = tmp_path / "src" / "efficient_empathy_sketches"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "drawing.py").write_text(
        "from efficient_empathy.foundation.run import record\n\n"
        'class Sketch(record.Record):\n    """Lines on paper."""\n'
        '    VERSION = 3\n    PLACE = \'sketch.json\'\n    lines: int\n    """How many."""\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    assert reference._modules_with_records(tmp_path / "src") == ["efficient_empathy_sketches.drawing"]
    part = reference.record_part(importlib.import_module("efficient_empathy_sketches.drawing").Sketch)
    assert "`sketch.json`, version 3." in part
    assert "| `lines` | whole number | How many. |" in part
    schema = reference.record_schema(sys.modules["efficient_empathy_sketches.drawing"].Sketch)
    assert schema["properties"]["lines"] == {"description": "How many.", "type": "integer"}
    assert schema["required"] == ["version", "lines"]


def test_every_format_is_in_the_table() -> None:
    table = (DOCS / "formats.md").read_text("utf-8")
    assert [name for name in FORMATS.built_in if f"| `{name}` |" not in table] == []


def test_every_settings_model_and_every_command_is_on_the_page() -> None:
    headings = {
        line.removeprefix("### ").strip("`")
        for line in (DOCS / "settings.md").read_text("utf-8").splitlines()
        if "### " in line
    }
    classes = settings_classes()
    assert len(classes) > 20
    assert {*classes, *commands_of(COMMANDS)} - headings == set()


def test_every_setting_has_help(reference) -> None:
    bare = [
        f"{model.__name__}.{name}"
        for model in reference.all_models()
        for name, field in fields_of(model).items()
        if not field.description
    ]
    assert bare == []
