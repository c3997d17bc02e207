import sys

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.plugins import load_plugin, plugins
from installed_package import install_package

GROUP = "efficient_empathy.hats"
MODULE = """
HAT = 3

class Bowler:
    brim = 2

def fails():
    raise ValueError("no felt")
"""


@pytest.fixture
def hats(tmp_path, monkeypatch):
    points = {"plain": "milliner:HAT", "bowler": "milliner:Bowler", "broken": "milliner:fails", "gone": "milliner:Gone"}
    monkeypatch.syspath_prepend(str(install_package(tmp_path, "milliner", {"milliner.py": MODULE}, {GROUP: points})))
    yield plugins(GROUP)
    sys.modules.pop("milliner", None)


def test_what_a_package_names_is_found_and_made_when_it_is_loaded(hats) -> None:
    assert set(hats) == {"plain", "bowler", "broken", "gone"}
    assert "milliner" not in sys.modules
    assert load_plugin(hats["plain"], "hat") == 3
    assert load_plugin(hats["bowler"], "hat").brim == 2


def test_without_the_package_there_is_nothing(hats, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[1:])
    assert plugins(GROUP) == {}


def test_one_that_cannot_be_made_or_found_names_its_package(hats) -> None:
    with pytest.raises(UserError, match="the hat broken of the package milliner cannot be loaded: no felt"):
        load_plugin(hats["broken"], "hat")
    with pytest.raises(UserError, match="the hat gone of the package milliner cannot be loaded"):
        load_plugin(hats["gone"], "hat")
