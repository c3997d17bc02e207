import json
import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.tensors import INDEX, byte_count, narrow, read_folder, read_header, widen

pytest.importorskip("safetensors", reason='needs the extra "train"')


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal((4, 3)), "b": rng.standard_normal(5)}
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_rows_are_read_where_they_lie(file) -> None:
    from safetensors.numpy import load_file

    tensors = read_header(file)
    expected = load_file(file)
    assert set(tensors) == {"a", "b"}
    np.testing.assert_array_equal(tensors["a"].read(1, 3), expected["a"][1:3])
    np.testing.assert_array_equal(tensors["b"].read(0, 5), expected["b"])


@pytest.mark.parametrize("cut", [1, 40, 80])
def test_a_file_that_was_cut_short_is_refused_by_name(file, cut) -> None:
    os.truncate(file, file.stat().st_size - cut)
    with pytest.raises(UserError, match=f"{file.name} is no whole safetensors file"):
        read_header(file)


@pytest.mark.parametrize("content", [b"", b"\x02", b"{}", (1 << 60).to_bytes(8, "little") + b"{}", b"PK\x03\x04" * 9])
def test_what_is_no_safetensors_file_is_refused(file, content) -> None:
    file.write_bytes(content)
    with pytest.raises(UserError, match="is no whole safetensors file"):
        read_header(file)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]},
        {"dtype": "Q4", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [1]},
        [],
    ],
)
def test_a_header_that_contradicts_itself_is_refused(file, entry) -> None:
    text = json.dumps({"a": entry}).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(UserError, match="is no whole safetensors file"):
        read_header(file)


def test_a_shard_that_is_missing_or_lacks_a_tensor_is_named(file) -> None:
    index = {"weight_map": {"a": file.name, "c": file.name}}
    (file.parent / INDEX).write_text(json.dumps(index))
    with pytest.raises(UserError, match="lacks c"):
        read_folder(file.parent)
    index["weight_map"]["c"] = "model-00002-of-00002.safetensors"
    (file.parent / INDEX).write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model-00002-of-00002\.safetensors is missing"):
        read_folder(file.parent)


def test_an_index_cannot_point_out_of_its_folder(file) -> None:
    (file.parent / INDEX).write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(UserError, match="not a file beside it"):
        read_folder(file.parent)


def test_pickle_weights_are_refused_and_none_are_told(tmp_path) -> None:
    with pytest.raises(UserError, match="no checkpoint"):
        read_folder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(UserError, match=r"pytorch_model\.bin, a pickle"):
        read_folder(tmp_path)


torch = pytest.importorskip("torch", reason='needs the extra "train"')


def test_every_bfloat16_is_widened_as_torch_does() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    expected = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(widen(bits, "BF16"), expected)


@pytest.mark.parametrize(("dtype", "torch_dtype"), [("BF16", torch.bfloat16), ("F16", torch.float16)])
def test_rounding_is_torchs_ties_included(dtype, torch_dtype) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(100_000).astype(np.float32) * 10 ** rng.uniform(-6, 3, 100_000).astype(np.float32)
    ties = (np.arange(1 << 14, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    values = np.concatenate([values, -values, ties[np.abs(ties) < 6e4], [0.0, -0.0]]).astype(np.float32)
    expected = torch.from_numpy(values).to(torch_dtype).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(narrow(values, dtype).view(np.uint16), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_a_number_that_is_not_finite_is_not_written(value, dtype) -> None:
    with pytest.raises(ValueError, match="finite"):
        narrow(np.array([1, value], np.float32), dtype)


def test_bytes_of_a_scalar_and_of_nothing() -> None:
    assert byte_count("BF16", ()) == 2
    assert byte_count("F32", (3, 0)) == 0
