import sys
from collections import deque

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.plugins import Plugins
from installed_package import install_package

GROUP = "efficient_empathy.hats"
MODULE = """
HAT = 3

class Bowler:
    brim = 2
"""


@pytest.fixture
def hats(tmp_path, monkeypatch):
    points = {"plain": "milliner:HAT", "bowler": "milliner:Bowler", "gone": "milliner:Gone"}
    monkeypatch.syspath_prepend(str(install_package(tmp_path, "milliner", {"milliner.py": MODULE}, {GROUP: points})))
    yield Plugins("hat", GROUP, {"beret": "collections:Counter", "plain": "collections:deque"})
    sys.modules.pop("milliner", None)


def test_names_are_there_before_anything_is_imported(hats) -> None:
    assert hats.names() == ("beret", "plain", "bowler", "gone")
    assert "bowler" in hats
    assert "fez" not in hats
    assert "milliner" not in sys.modules
    assert hats.load("bowler").brim == 2


def test_a_name_that_is_built_in_cannot_be_taken(hats) -> None:
    assert hats.load("plain") is deque


def test_without_the_package_there_is_only_what_is_built_in(hats, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[1:])
    assert hats.names() == ("beret", "plain")


def test_an_unknown_one_and_one_that_does_not_load_are_a_users_errors(hats) -> None:
    with pytest.raises(UserError, match="there is no hat 'fez': choose one of beret, plain, bowler, gone"):
        hats.load("fez")
    with pytest.raises(UserError, match="the hat gone of the package milliner cannot be loaded"):
        hats.load("gone")


def test_one_that_does_not_load_is_an_error_only_for_whoever_names_it(hats) -> None:
    assert list(hats.loadable()) == ["beret", "plain", "bowler"]
