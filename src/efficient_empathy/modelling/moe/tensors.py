"""Tensors of safetensors files, read by their byte ranges, and tensors computed while they are written.

Means, merged adapters and constants are made a few megabytes at a time.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.errors import UserError

Float32 = npt.NDArray[np.float32]
ON_DISK: dict[str, npt.DTypeLike] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""numpy's type of each kind of weight; numpy has no bfloat16, so that BF16 is read as its bits."""

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
STORED_AS = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}
"""By what users say."""
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


MAX_HEADER = 100_000_000
"""What safetensors' own reader takes at most."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_NO_KERNEL_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file, from the byte `begin` on. Two that are equal are the same bytes."""

    path: Path
    begin: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Its bytes on disk."""
        return byte_count(self.dtype, self.shape)

    def read(self, start: int, stop: int) -> Float32:
        """Rows `start` to `stop` of the first axis, as float32."""
        row = self.shape[1:]
        raw = np.empty((stop - start, *row), ON_DISK[self.dtype])
        with open_file(self.path) as file:
            file.seek(self.begin + start * byte_count(self.dtype, row))
            view, done = as_bytes(raw), 0
            while done < len(view):
                if not (count := file.readinto(view[done:])):
                    raise file_error(self.path, "it is shorter than it says")
                done += count
        return widen(raw, self.dtype)

    def write(self, out: FileIO, at: int) -> None:
        """Put the bytes at the place `at` of `out`, inside the kernel where it can do that."""
        with open_file(self.path) as file:
            done = 0
            while done < self.nbytes:
                count = _copy(file, out, self.begin + done, at + done, min(self.nbytes - done, 1 << 30))
                if not count:
                    raise file_error(self.path, "it is shorter than it says")
                done += count


def open_file(path: Path) -> FileIO:
    """The file, unbuffered. Raises `UserError` that names it."""
    try:
        return FileIO(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def put(out: FileIO, data: memoryview, at: int) -> None:
    """Write all of `data` at the place `at`."""
    done = 0
    while done < len(data):
        done += os.pwrite(out.fileno(), data[done:], at + done)


def _copy(file: FileIO, out: FileIO, source: int, target: int, count: int) -> int:
    """Copy up to `count` bytes and return how many: inside the kernel on Linux, through memory elsewhere."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(file.fileno(), out.fileno(), count, offset_src=source, offset_dst=target)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
    block = os.pread(file.fileno(), min(count, 1 << 22), source)
    put(out, memoryview(block), target)
    return len(block)


def file_error(path: Path, why: str) -> UserError:
    """The error of a file that is not whole."""
    return UserError(f"{path} is no whole safetensors file ({why}): download or save it again")


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file by their names. Raises `UserError` for one that is missing, cut short or not of this kind.

    The data must cover the file without a gap, as the format demands; so a file that was cut short is found here.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER, size - 8):
                raise file_error(path, "its header does not fit in it")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors = {name: _entry(path, 8 + length, entry) for name, entry in header.items()}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise file_error(path, "its header makes no sense") from error
    end = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].nbytes)):
        if tensor.begin != end:
            raise file_error(path, f"{name} does not begin where the tensor before it ends")
        end += tensor.nbytes
    if end != size:
        raise file_error(path, f"it has {size:,} bytes where {end:,} were written")
    return tensors


def _entry(path: Path, data: int, entry: dict[str, Any]) -> StoredTensor:
    begin, end = entry["data_offsets"]
    shape = tuple(int(n) for n in entry["shape"])
    if (
        entry["dtype"] not in ITEM_BYTES
        or byte_count(entry["dtype"], shape) != end - begin
        or min(shape, default=0) < 0
    ):
        raise ValueError("dtype, shape and data_offsets do not agree")
    return StoredTensor(path, data + int(begin), str(entry["dtype"]), shape)


def read_folder(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint's folder: of the shards that its index names, or of model.safetensors.

    Raises `UserError` for pickle weights, for no weights, and for a shard that is missing, broken or lacks a tensor.
    """
    if not (folder / INDEX).exists():
        if not (folder / SINGLE).exists():
            raise _without_weights(folder)
        return read_header(folder / SINGLE)
    try:
        places: dict[str, str] = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{folder / INDEX} is no index of shards: download or save the model again") from error
    for file in files:
        if Path(file).name != file:
            raise UserError(f"{folder / INDEX} names {file!r}, which is not a file beside it")
        if not (folder / file).exists():
            raise UserError(f"{folder / file} is missing: {INDEX} says that it holds part of the model")
    shards = {file: read_header(folder / file) for file in files}
    for name, file in places.items():
        if name not in shards[file]:
            raise file_error(folder / file, f"it lacks {name}")
    return {name: shards[file][name] for name, file in places.items()}


def _without_weights(folder: Path) -> UserError:
    pickled = sorted(p.name for kind in ("*.bin", "*.pt", "*.pth") for p in folder.glob(kind))
    if pickled:
        return UserError(
            f"{folder} has its weights in {pickled[0]}, a pickle, which can run code when it is read: "
            "save the model with safetensors first"
        )
    return UserError(f"{folder} has no {SINGLE} and no {INDEX}: it is no checkpoint")


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


def merge_lora(weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
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


def from_array(array: Float32, dtype: str) -> Tensor:
    """An array that is in memory already."""
    return Computed(lambda start, stop: array[start:stop], dtype, array.shape)
