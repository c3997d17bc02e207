import numpy as np
import onnxruntime

from efficient_empathy.evaluation.classifiers.encoding import LAYERS, LayerEncoder, with_outputs
from efficient_empathy.scoring.judges.distilled import BUNDLED

PAIRS = [(["i lost my keys"], "oh no , did you find them ?"), ([], "how lovely"), (["hi"], ""), ([], "")]


def test_every_pair_has_features_whatever_is_empty() -> None:
    both, alone = LayerEncoder(context=True)(PAIRS), LayerEncoder(context=False)(PAIRS)
    assert both.shape == (4, 384 * 4 * len(LAYERS))
    assert alone.shape == (4, 384 * 3 * len(LAYERS))
    assert np.isfinite(both).all()
    assert np.isfinite(alone).all()


def test_features_do_not_hang_on_the_company() -> None:
    encoder = LayerEncoder(context=True)
    assert np.array_equal(encoder(PAIRS)[1:2], encoder(PAIRS[1:2]))
    assert encoder([]).shape[0] == 0


def test_progress_is_told() -> None:
    told: list[int] = []
    LayerEncoder(context=False)(PAIRS, told.append)
    assert told == [1, 2, 3, 4]


def test_an_inner_tensor_becomes_an_output_of_the_same_model() -> None:
    model = (BUNDLED / "model.onnx").read_bytes()
    long = "/encoder/encoder/layer.0/output/LayerNorm/LayerNormalization_output_0"
    session = onnxruntime.InferenceSession(with_outputs(model, [long]), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits", long]
