"""Weights as bytes on disk and as float32 in memory: F32, F16 and BF16, without torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
ON_DISK: dict[str, npt.DTypeLike] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""numpy's type of each kind of weight; numpy has no bfloat16, so that BF16 is read as its bits."""

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_HIGH = 1 if sys.byteorder == "little" else 0
"""Which half of a 32-bit number is the upper one in memory."""


def byte_count(dtype: str, shape: Sequence[int]) -> int:
    """The bytes of a tensor."""
    return math.prod(shape) * ITEM_BYTES[dtype]


def widen(raw: npt.NDArray[Any], dtype: str) -> Float32:
    """Numbers as they lie on disk (type `ON_DISK[dtype]`) as float32, exactly."""
    if dtype == "BF16":
        bits = raw.astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
    return raw.astype(np.float32, copy=False)


def narrow(values: Float32, dtype: str) -> npt.NDArray[Any]:
    """float32 rounded to the nearest number of `dtype`, ties to even. Raises `ValueError` for NaN and infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    if not np.isfinite(total) and not np.isfinite(values).all():  # the sum is quick, but it may overflow
        raise ValueError("not every number is finite")
    if dtype != "BF16":
        return values.astype(ON_DISK[dtype], copy=False)
    bits = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    tie = bits >> 16
    tie &= 1
    tie += 0x7FFF
    tie += bits
    return tie.view(np.uint16)[_HIGH::2].reshape(values.shape)


def as_bytes(array: npt.NDArray[Any]) -> memoryview:
    """The array's memory, or a copy's where it does not lie in one piece."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
