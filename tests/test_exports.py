import subprocess
import sys
from importlib import import_module

import pytest

from efficient_empathy.foundation.exports import exports

LAZY = (
    "analytics",
    "evaluation",
    "evaluation.agreement",
    "evaluation.classifiers",
    "evaluation.pairwise",
    "evaluation.ratings",
    "evaluation.robustness",
    "labelling.prediction",
    "modelling.generation",
    "modelling.training",
    "studio",
)


@pytest.mark.parametrize("package", LAZY)
def test_every_name_that_a_package_offers_is_there(package: str) -> None:
    module = import_module(f"efficient_empathy.{package}")
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    find = exports("efficient_empathy.modelling.training", {"train": "stage"})
    with pytest.raises(AttributeError, match=r"efficient_empathy\.modelling\.training' has no attribute 'trian'"):
        find("trian")


@pytest.mark.parametrize("command", ["train", "analytics", "agreement", "distill", "studio"])
def test_help_of_a_command_does_not_import_what_its_work_needs(command: str) -> None:
    code = (
        f"import sys; from efficient_empathy.cli import app; app(['{command}', '--help'], standalone_mode=False); "
        "print([m for m in ('torch', 'onnxruntime', 'aiohttp', 'starlette', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
