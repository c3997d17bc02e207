"""Writes tensors as safetensors files, in rows, so that no tensor is ever whole in memory."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.tensors import (
    INDEX,
    Tensor,
    put,
)

Progress = Callable[[int], None]
"""Called with the bytes of each tensor when it is written."""


def write_shards(
    folder: Path,
    kinds: Sequence[Mapping[str, Tensor]],
    shard_bytes: int,
    *,
    on_bytes: Progress = lambda count: None,
) -> list[str]:
    """Write tensors to `folder` as model-00001-of-0000N.safetensors … and their index; returns the shards' names.

    A shard has at most `shard_bytes`, or one tensor; no shard has tensors of two of the `kinds`. Two are written at a
    time: averages keep the processor busy, and copies the disk. `on_bytes` is called from both threads. Raises
    `UserError` if the disk fills up, or a tensor is not finite.
    """
    groups = [group for kind in kinds for group in _groups(kind, shard_bytes)]
    names = [f"model-{i:05}-of-{len(groups):05}.safetensors" for i in range(1, len(groups) + 1)]
    _keep_memory()
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        shards = zip(names, groups, strict=True)
        running = [pool.submit(write_shard, folder / name, group, on_bytes, stop) for name, group in shards]
        try:
            for shard in running:
                shard.result()
        except BaseException:
            stop.set()
            raise
    places = {tensor: name for name, group in zip(names, groups, strict=True) for tensor in group}
    total = sum(tensor.nbytes for group in groups for tensor in group.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
    return names


def write_shard(
    path: Path,
    tensors: Mapping[str, Tensor],
    on_bytes: Progress = lambda count: None,
    stop: threading.Event | None = None,
) -> None:
    """Write one safetensors file, given up between two tensors when `stop` is set. Raises as `write_shards`."""
    header = _header(tensors)
    places = accumulate((tensor.nbytes for tensor in tensors.values()), initial=len(header))
    try:
        with FileIO(path, "w") as out:
            put(out, memoryview(header), 0)
            for (name, tensor), place in zip(tensors.items(), places, strict=False):
                if stop is not None and stop.is_set():
                    return
                _write(out, name, tensor, place)
                on_bytes(tensor.nbytes)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _write(out: FileIO, name: str, tensor: Tensor, place: int) -> None:
    """Write one tensor, and have the disk begin with it while the next one is made, where the system lets us ask."""
    try:
        tensor.write(out, place)
    except ValueError as error:
        raise UserError(f"{name} cannot be written: {error}; one of the experts is broken") from error
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(out.fileno(), place, tensor.nbytes, os.POSIX_FADV_DONTNEED)


def write_text(path: Path, text: str) -> None:
    """Write a text file. Raises `UserError`."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _keep_memory() -> None:
    """Have glibc keep small blocks: it keeps those up to the largest that it has seen freed.

    Else each of numpy's temporaries is mapped anew, which is 400,000 page faults for a gigabyte.
    """
    np.empty(16 << 20, np.uint8)


def _groups(tensors: Mapping[str, Tensor], shard_bytes: int) -> list[dict[str, Tensor]]:
    groups: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if groups[-1] and size + tensor.nbytes > shard_bytes:
            groups.append({})
            size = 0
        groups[-1][name] = tensor
        size += tensor.nbytes
    return [group for group in groups if group]


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    """The format's first bytes: the header's length and the header, padded so that the data is aligned to 8 bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
