"""Tensors in safetensors files, read by their byte ranges, and their numbers as bytes and as float32."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

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
class Stored:
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
        with opened(self.path) as file:
            file.seek(self.begin + start * byte_count(self.dtype, row))
            view, done = as_bytes(raw), 0
            while done < len(view):
                if not (count := file.readinto(view[done:])):
                    raise broken(self.path, "it is shorter than it says")
                done += count
        return widen(raw, self.dtype)

    def write(self, out: FileIO, at: int) -> None:
        """Put the bytes at the place `at` of `out`, inside the kernel where it can do that."""
        with opened(self.path) as file:
            done = 0
            while done < self.nbytes:
                count = _copy(file, out, self.begin + done, at + done, min(self.nbytes - done, 1 << 30))
                if not count:
                    raise broken(self.path, "it is shorter than it says")
                done += count


def opened(path: Path) -> FileIO:
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


def broken(path: Path, why: str) -> UserError:
    """The error of a file that is not whole."""
    return UserError(f"{path} is no whole safetensors file ({why}): download or save it again")


def read_header(path: Path) -> dict[str, Stored]:
    """The tensors of a file by their names. Raises `UserError` for one that is missing, cut short or not of this kind.

    The data must cover the file without a gap, as the format demands; so a file that was cut short is found here.
    """
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER, size - 8):
                raise broken(path, "its header does not fit in it")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors = {name: _entry(path, 8 + length, entry) for name, entry in header.items()}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise broken(path, "its header makes no sense") from error
    end = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].nbytes)):
        if tensor.begin != end:
            raise broken(path, f"{name} does not begin where the tensor before it ends")
        end += tensor.nbytes
    if end != size:
        raise broken(path, f"it has {size:,} bytes where {end:,} were written")
    return tensors


def _entry(path: Path, data: int, entry: dict[str, Any]) -> Stored:
    begin, end = entry["data_offsets"]
    shape = tuple(int(n) for n in entry["shape"])
    if (
        entry["dtype"] not in ITEM_BYTES
        or byte_count(entry["dtype"], shape) != end - begin
        or min(shape, default=0) < 0
    ):
        raise ValueError("dtype, shape and data_offsets do not agree")
    return Stored(path, data + int(begin), str(entry["dtype"]), shape)


def read_folder(folder: Path) -> dict[str, Stored]:
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
            raise broken(folder / file, f"it lacks {name}")
    return {name: shards[file][name] for name, file in places.items()}


def _without_weights(folder: Path) -> UserError:
    pickled = sorted(p.name for kind in ("*.bin", "*.pt", "*.pth") for p in folder.glob(kind))
    if pickled:
        return UserError(
            f"{folder} has its weights in {pickled[0]}, a pickle, which can run code when it is read: "
            "save the model with safetensors first"
        )
    return UserError(f"{folder} has no {SINGLE} and no {INDEX}: it is no checkpoint")
