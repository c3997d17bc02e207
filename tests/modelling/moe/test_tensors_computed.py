import numpy as np
import pytest

from efficient_empathy.modelling.moe import tensors
from efficient_empathy.modelling.moe.shards import write_shard
from efficient_empathy.modelling.moe.tensors import read_header

RNG = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_a_mean_is_computed_in_float32_and_rounded_once(tmp_path) -> None:
    parts = [array(300, 20) for _ in range(3)]
    mean = tensors.mean([tensors.from_array(part, "BF16") for part in parts])
    write_shard(tmp_path / "m", {"m": mean})
    written = read_header(tmp_path / "m")["m"]
    assert written.dtype == "BF16"
    np.testing.assert_allclose(written.read(0, 300), np.mean(parts, axis=0), rtol=2**-8)


def test_equal_parts_come_through_unchanged_whatever_their_number() -> None:
    part = array(50, 7)
    for count in (2, 3, 5, 7):
        mean = tensors.mean([tensors.from_array(part.copy(), "F32") for _ in range(count)])
        np.testing.assert_array_equal(mean.read(3, 50), part[3:])


def test_the_mean_of_one_place_on_disk_is_that_place(tmp_path) -> None:
    write_shard(tmp_path / "m", {"m": tensors.from_array(array(4, 4), "F32")})
    again = [read_header(tmp_path / "m")["m"] for _ in range(3)]
    assert tensors.mean(again) is again[0]


def test_work_goes_in_rows_and_covers_every_one(monkeypatch) -> None:
    monkeypatch.setattr(tensors, "CHUNK", 64)
    for shape in ((100, 7), (3, 200), (130,), (0, 5)):
        seen = [row for start, stop in tensors.spans(shape) for row in range(start, stop)]
        assert seen == list(range(shape[0]))
    assert list(tensors.spans((3, 200))) == [(0, 1), (1, 2), (2, 3)]


def test_an_update_is_merged_row_by_row(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tensors, "CHUNK", 64)
    w, a, b = array(40, 12), array(3, 12), array(40, 3)
    merged = tensors.merge_lora(*(tensors.from_array(x, "F32") for x in (w, a, b)), 2.5)
    write_shard(tmp_path / "m", {"m": merged})
    np.testing.assert_allclose(read_header(tmp_path / "m")["m"].read(0, 40), w + 2.5 * b @ a, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_a_cast_keeps_the_numbers(tmp_path, dtype) -> None:
    values = array(5, 5)
    write_shard(tmp_path / "m", {"m": tensors.cast(tensors.from_array(values, "F32"), dtype)})
    written = read_header(tmp_path / "m")["m"]
    assert written.dtype == dtype
    np.testing.assert_allclose(written.read(0, 5), values, rtol=2**-8)
