import numpy as np
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.encoders import with_outputs
from efficient_empathy.evaluation.classifiers.features import BUCKETS, LAYERS, LayerEncoder, grams
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


TEXTS = ["I'm sorry , I'm so sorry", "", "what happened ?", "so sorry"]


def dense(found) -> np.ndarray:
    table = np.zeros((len(found), BUCKETS))
    for row in range(len(found)):
        at = slice(found.starts[row], found.starts[row + 1])
        table[row, found.columns[at]] = found.values[at]
    return table


def test_contractions_and_case_make_no_difference() -> None:
    assert np.array_equal(dense(grams(["I'm glad"])), dense(grams(["i am glad"])))


def test_rows_are_brought_to_length_one_and_empty_ones_stay_empty() -> None:
    found = grams(["so sorry", "so sorry", "zebra"])
    weighted = dense(found.weigh(found.idf()))
    assert np.allclose((weighted**2).sum(1), [1, 1, 0])


def test_what_one_row_alone_has_weighs_nothing() -> None:
    idf = grams(["so sorry", "so glad"]).idf()
    assert (idf > 0).sum() == 2  # "so", and "so" as the first word


@given(st.lists(st.text(), max_size=6), st.randoms())
def test_products_and_chosen_rows_are_those_of_the_table(texts, rng) -> None:
    found = grams(texts)
    rows = np.array([rng.randrange(len(texts)) for _ in range(4)] if texts else [], np.int64)
    weights = np.random.default_rng(0).normal(size=(BUCKETS, 2))
    assert np.allclose(found.take(rows).dot(weights), dense(found)[rows] @ weights, atol=1e-3)
