import numpy as np
import pytest

from efficient_empathy.modelling.moe.numbers import byte_count, narrow, widen

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
