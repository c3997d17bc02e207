from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import inspect_source
from efficient_empathy.dialogues.containers.parquet_footer import declared_size
from efficient_empathy.dialogues.settings import InspectionSettings
from efficient_empathy.foundation.errors import UserError

MB = 2**20


@pytest.mark.parametrize("groups", [1, 3, 40])
def test_a_file_says_how_much_it_unpacks_to(groups: int, tmp_path: Path) -> None:
    frame = pl.DataFrame({"context": [f"{i} " * 500 for i in range(400)], "list": [[1, 2]] * 400, "no": [None] * 400})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=400 // groups)
    text = sum(len(one) for one in frame["context"])
    assert text < declared_size(tmp_path / "a.parquet")[0] < 1.2 * text + 20_000


def test_what_is_no_footer_says_nothing(tmp_path: Path) -> None:
    for data in (b"", b"PAR1", b"PAR1" + b"\xff" * 8, b"x" * 100 + (60).to_bytes(4, "little") + b"PAR1",
                 b"\x1c" * 5000 + (4990).to_bytes(4, "little") + b"PAR1"):  # fmt: skip
        (tmp_path / "a.parquet").write_bytes(data)
        assert declared_size(tmp_path / "a.parquet")[0] == 0


def test_one_that_unpacks_to_more_than_it_may_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    pl.DataFrame({"context": [c * MB for c in "abcd"], "response": ["b"] * 4}).write_parquet(path, compression="zstd")
    assert path.stat().st_size < 20_000
    settings = InspectionSettings(max_unpacked="2MB")
    with pytest.raises(UserError, match=r"unpack to more than .*: if you trust the file, pass --max-unpacked"):
        inspect_source(path, settings)
    assert inspect_source(path, InspectionSettings(max_unpacked="1GB")).bad_rows == 4
