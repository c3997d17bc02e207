"""Tensors that are made while they are written, a few megabytes at a time: means, merged adapters, constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import FileIO
from typing import Protocol

import numpy as np

from efficient_empathy.modelling.moe.stored import Float32, as_bytes, byte_count, narrow, put

CHUNK = 1 << 18
"""Numbers that are worked on at a time: 1 MiB of float32, which stays in a processor's cache."""


class Tensor(Protocol):
    """Something that can be read in rows and written as a whole."""

    @property
    def dtype(self) -> str:
        """As safetensors calls it: F32, F16, BF16."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its axes."""

    @property
    def nbytes(self) -> int:
        """Its bytes on disk."""

    def read(self, start: int, stop: int) -> Float32:
        """Rows `start` to `stop` of the first axis, as float32."""

    def write(self, out: FileIO, at: int) -> None:
        """Put all of it at the place `at` of a file, rounded to `dtype`.

        Raises `ValueError` for numbers that are not finite.
        """


@dataclass(frozen=True, slots=True)
class Computed:
    """What `rows` makes, rounded once, when it is written."""

    rows: Callable[[int, int], Float32]
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Its bytes on disk."""
        return byte_count(self.dtype, self.shape)

    def read(self, start: int, stop: int) -> Float32:
        """Rows `start` to `stop` of the first axis, as float32, not rounded."""
        return self.rows(start, stop)

    def write(self, out: FileIO, at: int) -> None:
        """Put all of it at the place `at` of a file, some rows at a time."""
        for start, stop in spans(self.shape):
            data = as_bytes(narrow(self.rows(start, stop), self.dtype))
            put(out, data, at)
            at += len(data)


def spans(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Row ranges that hold about `CHUNK` numbers each."""
    row = 1
    for size in shape[1:]:
        row *= size
    step = max(1, CHUNK // max(1, row))
    return ((start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def mean(parts: Sequence[Tensor]) -> Tensor:
    """The parts' mean, computed in float32; the first part itself where all are the same bytes.

    Rows in which the parts are equal number by number come through unchanged, whatever the number of parts.
    """
    first = parts[0]
    if all(part == first for part in parts[1:]):
        return first
    return Computed(partial(_mean_rows, tuple(parts)), first.dtype, first.shape)


def _mean_rows(parts: tuple[Tensor, ...], start: int, stop: int) -> Float32:
    total = parts[0].read(start, stop)
    others = [part.read(start, stop) for part in parts[1:]]
    if all(_same(total, other) for other in others):
        return total
    total = total + others[0]
    for other in others[1:]:
        total += other
    total /= np.float32(len(parts))
    return total


def _same(first: Float32, second: Float32) -> bool:
    """Whether all numbers are equal; the first row tells where they are not, as a rule, at no cost."""
    return np.array_equal(first[:1], second[:1]) and np.array_equal(first, second)


def merged(weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """W + scale · B · A (LoRA, arXiv 2106.09685): W is out × in, A is rank × in, B is out × rank."""
    return Computed(partial(_merged_rows, weight, a, b, np.float32(scale)), weight.dtype, weight.shape)


def _merged_rows(weight: Tensor, a: Tensor, b: Tensor, scale: np.float32, start: int, stop: int) -> Float32:
    update = b.read(start, stop) @ a.read(0, a.shape[0])
    update *= scale
    update += weight.read(start, stop)
    return update


def cast(tensor: Tensor, dtype: str) -> Tensor:
    """The tensor, to be written as another kind of number."""
    return tensor if tensor.dtype == dtype else Computed(tensor.read, dtype, tensor.shape)


def constant(value: float, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """The same number everywhere."""
    return Computed(partial(_constant_rows, value, shape[1:]), dtype, shape)


def _constant_rows(value: float, row: tuple[int, ...], start: int, stop: int) -> Float32:
    return np.full((stop - start, *row), value, np.float32)


def given(array: Float32, dtype: str) -> Tensor:
    """An array that is in memory already."""
    return Computed(lambda start, stop: array[start:stop], dtype, array.shape)
