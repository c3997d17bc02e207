from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from efficient_empathy.dialogues import read
from efficient_empathy.dialogues.containers import opening
from efficient_empathy.foundation.errors import UserError

TEXT = '{"context": "Ich habe gewonnen, für uns 🎉", "response": "Glückwunsch!"}\n' * 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_or_gzip_makes_no_difference(tmp_path: Path, encoding: str, packed: bool) -> None:
    data = TEXT.encode(encoding)
    path = tmp_path / "any.name"
    path.write_bytes(gzip.compress(data) if packed else data)
    frame = read(path)
    assert frame["response"].to_list() == ["Glückwunsch!"] * 3
    assert frame["context"][0][0]["text"] == "Ich habe gewonnen, für uns 🎉"


def test_big_endian_utf16_with_a_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xfe\xff" + "context,response\nhi,hello\n".encode("utf-16-be"))
    assert read(path)["response"].to_list() == ["hello"]


def test_truncated_gzip_names_the_file_and_the_position(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    noise = random.Random(0)
    rows = [f'{{"context": "{noise.random()}", "response": "{noise.random()}"}}\n' for _ in range(20_000)]
    path.write_bytes(gzip.compress("".join(rows).encode())[:-2000])
    with pytest.raises(UserError, match=r"a\.jsonl\.gz: the gzip data is broken after [\d,]{6,} bytes"):
        read(path)


def test_corrupt_gzip_is_a_users_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    data = bytearray(gzip.compress(TEXT.encode() * 100))
    data[20:40] = b"\xff" * 20
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="gzip"):
        read(path)


def test_broken_utf16_is_a_users_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(TEXT.encode("utf-16")[:-1])
    with pytest.raises(UserError, match="byte-order mark"):
        read(path)


def test_an_unreadable_file_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"), opening.open_bytes(tmp_path):
        pass


def test_a_line_too_long_to_hold_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_LINE", 10)
    path = tmp_path / "a"
    path.write_bytes(b"short\n" + b"x" * 3_000_000 + b"\n" + b"123456789\nlast")
    with opening.open_bytes(path) as stream:
        assert list(opening.lines(stream)) == [(1, b"short\n"), (2, None), (3, b"123456789\n"), (4, b"last")]
