from pathlib import Path

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

from efficient_empathy.foundation.model_folder import model_hash
from tiny_models import tiny_model


def test_a_models_hash_changes_with_its_weights_only(tmp_path: Path) -> None:
    first, same, other = (tiny_model(tmp_path / n, seed=s) for n, s in (("a", 0), ("b", 0), ("c", 1)))
    assert model_hash(first) == model_hash(same) != model_hash(other)
    (first / "README.md").write_text("a card")
    assert model_hash(first) == model_hash(same)
