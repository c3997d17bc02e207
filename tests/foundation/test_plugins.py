import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.plugins import Plugins


@pytest.fixture
def plugins(tmp_path, monkeypatch) -> Plugins[type]:
    """Two of the package's own; of an installed package one that loads, one that does not, and one of a known name."""
    info = tmp_path / "kind_of_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kind-of-plugin\nVersion: 1.0\n")
    lines = "good = decimal:Decimal\nbad = decimal:Missing\nown = decimal:Decimal\n"
    (info / "entry_points.txt").write_text(f"[test.plugins]\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Plugins("thing", "test.plugins", {"own": "fractions:Fraction", "other": "collections:Counter"})


def test_the_packages_own_come_first_and_keep_their_names(plugins) -> None:
    assert plugins.names() == ("own", "other", "bad", "good")
    assert (plugins.load("own").__name__, plugins.load("good").__name__) == ("Fraction", "Decimal")
    assert "good" in plugins
    assert "nothing" not in plugins


def test_what_does_not_load_is_an_error_only_for_whoever_names_it(plugins) -> None:
    assert list(plugins.loadable()) == ["own", "other", "good"]
    with pytest.raises(UserError, match="the thing bad of the package kind-of-plugin cannot be loaded"):
        plugins.load("bad")
    with pytest.raises(UserError, match="no thing 'nothing': choose one of own, other, bad, good"):
        plugins.load("nothing")
