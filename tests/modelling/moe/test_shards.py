import json
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe import tensors
from efficient_empathy.modelling.moe.shards import write_shard, write_shards
from efficient_empathy.modelling.moe.tensors import INDEX, read_folder, read_header

pytest.importorskip("safetensors", reason='needs the extra "train"')
from safetensors.numpy import load_file, save_file

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)
ARRAYS = arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e4, 1e4, width=32))
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name != "__metadata__"
)


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=6), st.integers(0, 400))
@settings(max_examples=60)
def test_what_is_written_is_what_safetensors_reads(tmp_path_factory, content, shard_bytes) -> None:
    folder = tmp_path_factory.mktemp("shards")
    files = write_shards(
        folder, [{name: tensors.from_array(array, "F32") for name, array in content.items()}], shard_bytes
    )
    places = json.loads((folder / INDEX).read_text())["weight_map"]
    read = {}
    for file in files:
        part = load_file(folder / file)
        assert {name for name, place in places.items() if place == file} == set(part)
        assert len(part) == 1 or sum(array.nbytes for array in part.values()) <= shard_bytes
        read |= part
    assert set(read) == set(content)
    for name, array in content.items():
        np.testing.assert_array_equal(read[name], array)
    again = read_folder(folder)
    assert {name: tensor.shape for name, tensor in again.items()} == {n: a.shape for n, a in content.items()}


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=4))
@settings(max_examples=30)
def test_what_safetensors_writes_is_copied_byte_by_byte(tmp_path_factory, content) -> None:
    folder = tmp_path_factory.mktemp("copied")
    save_file(content, folder / "a.safetensors")
    write_shard(folder / "b.safetensors", read_header(folder / "a.safetensors"))
    read = load_file(folder / "b.safetensors")
    for name, array in content.items():
        np.testing.assert_array_equal(read[name], array)


def test_data_begins_aligned_and_a_foreign_disk_is_copied_too(tmp_path, monkeypatch) -> None:
    array = np.arange(10, dtype=np.float32)
    write_shard(tmp_path / "a.safetensors", {"a": tensors.from_array(array, "F32")})
    assert read_header(tmp_path / "a.safetensors")["a"].begin % 8 == 0

    def other_disk(*_: object, **__: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(tensors.os, "copy_file_range", other_disk)
    write_shard(tmp_path / "b.safetensors", read_header(tmp_path / "a.safetensors"))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_system_without_linux_own_calls_writes_and_copies_the_same_bytes(tmp_path, monkeypatch) -> None:
    array = np.arange(3_000_000, dtype=np.float32)
    write_shard(tmp_path / "linux.safetensors", {"a": tensors.from_array(array, "F32")})
    for name in ("copy_file_range", "posix_fadvise", "POSIX_FADV_DONTNEED"):
        monkeypatch.delattr(tensors.os, name)
    write_shard(tmp_path / "written.safetensors", {"a": tensors.from_array(array, "F32")})
    write_shard(tmp_path / "copied.safetensors", read_header(tmp_path / "linux.safetensors"))
    for name in ("written", "copied"):
        assert (tmp_path / f"{name}.safetensors").read_bytes() == (tmp_path / "linux.safetensors").read_bytes()


def test_no_shard_has_tensors_of_two_kinds(tmp_path) -> None:
    ones = tensors.from_array(np.ones(4, np.float32), "F32")
    files = write_shards(tmp_path, [{"a": ones, "b": ones, "c": ones}, {}, {"gate": ones}], 32)
    assert [set(read_header(tmp_path / file)) for file in files] == [{"a", "b"}, {"c"}, {"gate"}]


def test_when_one_shard_fails_the_other_is_given_up(tmp_path) -> None:
    ones, bad = (tensors.from_array(np.full(4, value, np.float32), "F32") for value in (1, np.nan))
    written = []
    with pytest.raises(UserError, match="bad cannot be written"):
        write_shards(tmp_path, [{"bad": bad}, {f"{i}": ones for i in range(20_000)}], 1 << 30, on_bytes=written.append)
    assert len(written) < 20_000


def test_a_disk_that_fills_up_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="No space left"):
        write_shard(Path("/dev/full"), {"a": tensors.from_array(np.ones(1 << 20, np.float32), "F32")})


def test_a_tensor_that_is_not_finite_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"layers\.3 cannot be written: not every number is finite"):
        write_shard(tmp_path / "a", {"layers.3": tensors.from_array(np.array([np.nan], np.float32), "BF16")})


def test_a_source_that_shrinks_while_it_is_copied_is_named(tmp_path) -> None:
    save_file({"a": np.ones(100, np.float32)}, tmp_path / "a.safetensors")
    tensor = read_header(tmp_path / "a.safetensors")["a"]
    with (tmp_path / "a.safetensors").open("r+b") as file:
        file.truncate(50)
    with FileIO(tmp_path / "b", "w") as out, pytest.raises(UserError, match=r"a\.safetensors is no whole"):
        tensor.write(out, 0)
    with pytest.raises(UserError, match=r"a\.safetensors is no whole"):
        tensor.read(0, 100)
