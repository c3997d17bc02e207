import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.encoders import OnnxEncoder, PairTokenizer, _last_turns, normalise, pad
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.judges.distilled import BUNDLED
from samples import make_samples

TOKENIZER = PairTokenizer(BUNDLED / "tokenizer.json", 32)
CLS, SEP = 101, 102


def sample(*turns: str, response: str = "ok") -> Sample:
    roles = ("speaker", "listener")
    return Sample.of([Utterance(roles[i % 2], text) for i, text in enumerate(turns)], response)


@pytest.mark.parametrize(
    ("raw", "tokenised"),
    [
        ("I'm glad it didn't hurt", "i am glad it did not hurt"),
        ("I can’t, I won't", "i can not, i will not"),
        ("they're here and he's gone", "they are here and he is gone"),
        ("that 's what we 've heard", "that is what we have heard"),
        ("my sister's dog", "my sister's dog"),
    ],
)
def test_contractions_are_written_out_as_in_the_tokenised_data(raw: str, tokenised: str) -> None:
    assert normalise(raw) == tokenised


def test_raw_and_tokenised_text_are_one_to_the_encoder() -> None:
    raw = sample("I'm glad, it didn't hurt!", response="That's great.")
    tokenised = sample("i am glad , it did not hurt !", response="that is great .")
    assert TOKENIZER([raw]) == TOKENIZER([tokenised])


def test_the_response_is_the_second_segment() -> None:
    (ids, boundary) = TOKENIZER([sample("hello", "hi", "bye", response="see you")])[0]
    assert ids[0] == CLS
    assert ids[boundary - 1] == ids[-1] == SEP
    assert ids[:boundary].count(SEP) == 3
    inputs = pad([(ids, boundary)])
    assert inputs["token_type_ids"].sum() == len(ids) - boundary


def test_of_a_long_dialogue_the_last_turns_and_the_response_are_read() -> None:
    long = sample("first " * 100, "middle", "last word", response="the answer")
    ids, boundary = TOKENIZER([long])[0]
    short, at = TOKENIZER([sample("last word", response="the answer")])[0]
    assert len(ids) == 32
    assert ids[boundary:] == short[at:]
    assert ids[boundary - 3 : boundary] == short[at - 3 : at]


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=4), st.text(max_size=600))
def test_any_text_fits(turns: list[str], response: str) -> None:
    ids, boundary = TOKENIZER([sample(*turns, response=response)])[0]
    assert 3 <= len(ids) <= 32
    assert 2 <= boundary < len(ids)


def test_padding_is_masked() -> None:
    inputs = pad([([CLS, 5, SEP, 6, SEP], 3), ([CLS, SEP, SEP], 2)])
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert all(array.dtype == np.int64 for array in inputs.values())


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


def test_answers_that_are_not_finite_are_refused_with_the_file(tmp_path) -> None:
    onnx = pytest.importorskip("onnx", reason='needs the extra "train"')
    model = onnx.load(BUNDLED / "model.onnx")
    bias = next(part for part in model.graph.initializer if part.name == "encoder.embeddings.LayerNorm.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(384, np.nan, np.float32), bias.name))
    onnx.save(model, tmp_path / "model.onnx")
    (tmp_path / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
    with pytest.raises(UserError, match=rf"{tmp_path}/model\.onnx answers with numbers that are not finite"):
        OnnxEncoder(tmp_path, 64)(make_samples(1))


@given(st.lists(st.text("ab' nt.", max_size=40), min_size=1, max_size=12), st.integers(1, 90))
def test_the_last_turns_are_those_of_the_whole_context(texts, room) -> None:
    whole = " [SEP] ".join(normalise(text) for text in texts)
    assert _last_turns(sample(*texts), room, " [SEP] ") == whole[-room:]


JUDGE = "from efficient_empathy.scoring.judges.distilled import DistilledJudge; DistilledJudge(None)"


def test_the_runtime_tells_nobody_how_it_is_used(tmp_path) -> None:
    """onnxruntime keeps an id of the device, and what it is about to send, in the user's home."""
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = {**kept, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", JUDGE], check=True, env=environment)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
