from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.containers import packing
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.foundation.errors import UserError

Pack = Callable[[bytes], bytes]


def zstd(data: bytes, **parameters: int) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options = {zstd.CompressionParameter[name]: value for name, value in parameters.items()}
    return zstd.compress(data, options=options)


PACKINGS: dict[str, Pack] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstd(data, checksum_flag=1),
}
noise = random.Random(0)
ROWS = "".join(json.dumps({"context": f"{noise.random()}", "response": f"{i}"}) + "\n" for i in range(2_000)).encode()
SKIPPABLE = b"\x5a\x2a\x4d\x18\x04\0\0\0note"

every_packing = pytest.mark.parametrize("name", PACKINGS)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "dialogues"
    path.write_bytes(data)
    return path


def responses(path: Path) -> list[int]:
    return [int(sample.response) for sample in open_source(path)]


@every_packing
def test_every_packing_is_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    assert responses(write(tmp_path, PACKINGS[name](ROWS))) == list(range(2_000))


@every_packing
def test_parts_follow_each_other_and_their_rows_do_too(tmp_path: Path, name: str) -> None:
    middle = ROWS.index(b"\n", len(ROWS) // 2) - 7
    parts = [ROWS[:middle], b"", ROWS[middle:]]
    assert responses(write(tmp_path, b"".join(map(PACKINGS[name], parts)))) == list(range(2_000))


@every_packing
def test_zero_bytes_after_a_part_are_counted(tmp_path: Path, name: str) -> None:
    data = PACKINGS[name](ROWS)
    inspection = inspect_source(write(tmp_path, data + bytes(400) + data + bytes(100_000)))
    assert inspection.samples == 4_000
    assert inspection.repairs == {"zero bytes after packed data left out": 100_400}


@every_packing
@pytest.mark.parametrize("rest", [b"garbage", b"\0\0x", ROWS, b"\x1f\x8a\x28\xb5"])
def test_what_follows_the_packed_data_is_never_passed_over(tmp_path: Path, name: str, rest: bytes) -> None:
    path = write(tmp_path, PACKINGS[name](ROWS) + rest)
    with pytest.raises(
        UserError, match=rf"after {len(ROWS):,} bytes of content comes something that is not {name}: copy"
    ):
        inspect_source(path)


@every_packing
def test_data_that_breaks_off_names_the_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"the {name} data is broken after [\d,]+ bytes \(it ends early\): copy or"):
        inspect_source(write(tmp_path, PACKINGS[name](ROWS)[:-3]))


@every_packing
def test_a_flipped_byte_is_a_users_error(tmp_path: Path, name: str) -> None:
    data = bytearray(PACKINGS[name](ROWS))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UserError, match=rf"the {name} data is broken after"):
        inspect_source(write(tmp_path, bytes(data)), InspectionSettings(on_bad_row="skip"))


def test_zstd_that_begins_with_a_note_and_has_a_wide_window_is_read(tmp_path: Path) -> None:
    wide = zstd(ROWS, window_log=29, enable_long_distance_matching=1, content_size_flag=0)
    assert responses(write(tmp_path, SKIPPABLE + wide + SKIPPABLE)) == list(range(2_000))


@pytest.mark.parametrize("inner", PACKINGS)
@pytest.mark.parametrize("outer", PACKINGS)
def test_what_is_packed_twice_is_read_and_thrice_is_refused(tmp_path: Path, inner: str, outer: str) -> None:
    twice = PACKINGS[outer](PACKINGS[inner](ROWS))
    assert len(responses(write(tmp_path, twice))) == 2_000
    with pytest.raises(UserError, match="is packed more than twice: unpack it first"):
        open_source(write(tmp_path, gzip.compress(twice)))


@every_packing
def test_a_bomb_is_stopped_and_the_way_to_allow_it_is_said(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LEAST_LIMIT", 2**17)
    rows = b'{"context": "hi", "response": "hello"}\n' * 7_500
    path = write(tmp_path, PACKINGS[name](rows))
    with pytest.raises(UserError, match=r"unpack to more than .*: if you trust the file, pass --max-unpacked"):
        inspect_source(path)
    assert inspect_source(path, InspectionSettings(max_unpacked="1MB")).samples == 7_500
    with pytest.raises(UserError, match=r"unpack to more than 195\.3KiB"):
        inspect_source(path, InspectionSettings(max_unpacked="200KB"))


def test_a_bomb_inside_a_packed_file_counts_against_the_size_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LEAST_LIMIT", 2**17)
    rows = b'{"context": "hi", "response": "hello"}\n' * 7_500
    with pytest.raises(UserError, match="unpack to more than"):
        inspect_source(write(tmp_path, gzip.compress(gzip.compress(rows))))


def test_the_limit_grows_with_the_file_and_has_an_end() -> None:
    assert packing.unpacked_limit(1_000, None) == packing.LEAST_LIMIT
    assert packing.unpacked_limit(10**8, None) == 250 * 10**8
    assert packing.unpacked_limit(10**12, None) == packing.MOST_LIMIT
    assert packing.unpacked_limit(10**12, 5) == 5


@pytest.mark.parametrize("size", ["lots", "0", "-1GB"])
def test_a_limit_that_is_no_size_is_told_in_words(size: str) -> None:
    with pytest.raises(ValidationError, match="must be a size, such as 50GB"):
        ReadingSettings(max_unpacked=size)
