from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError


def test_rows_come_in_the_files_order(tmp_path: Path) -> None:
    frame = pl.DataFrame({"context": [f"hi {i}" for i in range(25_000)], "response": ["hello"] * 25_000})
    frame.write_parquet(tmp_path / "no ending [1]", row_group_size=700)
    texts = [sample.context[0].text for sample in open_source(tmp_path / "no ending [1]")]
    assert texts == frame["context"].to_list()


def test_container_and_format_are_independent(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    pl.DataFrame({"messages": [turns, turns[:1], None], "emotion": ["joyful", None, "sad"]}).write_parquet(
        tmp_path / "a"
    )
    found = inspect_source(tmp_path / "a")
    assert (found.format, found.samples, found.category_counts) == ("messages", 1, {"joyful": 1})
    assert [(row.place[-6:], row.reason) for row in found.bad_row_examples] == [
        (":row 2", "no listener response: `generate --source` can write one"),
        (":row 3", "'messages' is null"),
    ]


def test_broken_parquet_is_a_users_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"context": ["hi"] * 5000, "response": ["hello"] * 5000}).write_parquet(path)
    data = path.read_bytes()
    broken = [b"PAR1", data[:-100], data[:40] + b"\xff" * 400 + data[440:], data[:-60] + b"\xff" * 40 + data[-20:]]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"cannot read the Parquet data of .*a\.parquet"):
            list(open_source(path, ReadingSettings(format="table")))
    path.write_bytes(gzip.compress(data))
    with pytest.raises(UserError, match="Parquet inside gzip"):
        open_source(path)
