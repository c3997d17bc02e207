import ast
import importlib.util
from pathlib import Path

import pytest

from efficient_empathy.cli import COMMANDS
from efficient_empathy.cli.lazy import commands_of
from efficient_empathy.foundation.settings import fields_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "settings.md"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "scripts" / "write_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_the_page_is_what_the_script_writes(reference) -> None:
    assert PAGE.read_text("utf-8") == reference.page(), "stale: run python scripts/write_reference.py"


def test_every_settings_model_and_every_command_is_on_the_page() -> None:
    headings = {line.removeprefix("### ").strip("`") for line in PAGE.read_text("utf-8").splitlines() if "### " in line}
    assert len(settings_classes()) > 20
    assert {*settings_classes(), *commands_of(COMMANDS)} - headings == set()


def test_every_setting_has_help(reference) -> None:
    bare = [
        f"{model.__name__}.{name}"
        for model in reference.all_models()
        for name, field in fields_of(model).items()
        if not field.description
    ]
    assert bare == []
