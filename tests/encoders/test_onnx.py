import numpy as np
import pytest

from efficient_empathy.encoders import OnnxEncoder
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.judges.distilled import BUNDLED
from samples import make_samples


def test_a_samples_result_is_its_own_whatever_its_company() -> None:
    encoder = OnnxEncoder(BUNDLED, 64)
    samples = make_samples(10)
    samples += [type(s).of(s.context, s.response + " I understand how you feel." * i) for i, s in enumerate(samples)]
    together = encoder(samples)
    alone = np.concatenate([encoder([sample]) for sample in samples])
    assert np.array_equal(together, alone)


def test_a_damaged_folder_is_named(tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
    (tmp_path / "model.onnx").write_bytes((BUNDLED / "README.md").read_bytes())
    with pytest.raises(UserError, match=tmp_path.name):
        OnnxEncoder(tmp_path, 64)
    with pytest.raises(UserError, match="nowhere"):
        OnnxEncoder(tmp_path / "nowhere", 64)
