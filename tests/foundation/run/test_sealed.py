from __future__ import annotations

from pathlib import Path

import polars as pl

from efficient_empathy.foundation.run.sealed import read_sealed, write_sealed


def test_a_table_is_read_again_only_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "counts.parquet"
    assert read_sealed(path) is None
    frame = pl.DataFrame({"name": ["a", None, "ß"], "count": [1.0, float("nan"), 3.0]})
    write_sealed(frame, path)
    again = read_sealed(path)
    assert again is not None
    assert frame.equals(again)
    content = path.read_bytes()
    for change in (b"", content[:20], content[: len(content) // 2]):
        path.write_bytes(change)
        assert read_sealed(path) is None
    seal = _seal(frame, path)
    for edited in (frame.with_columns(count=pl.lit(9.0)), frame.rename({"name": "title"}), frame[::-1]):
        edited.write_parquet(path, metadata={"sha256": seal})
        assert read_sealed(path) is None


def test_a_files_name_is_no_pattern(tmp_path: Path) -> None:
    frames = {name: pl.DataFrame({"name": [name]}) for name in ("a.parquet", "[ab].parquet")}
    for name, frame in frames.items():
        write_sealed(frame, tmp_path / name)
    for name, frame in frames.items():
        assert (again := read_sealed(tmp_path / name)) is not None
        assert frame.equals(again)


def test_a_table_without_columns_is_one_too(tmp_path: Path) -> None:
    write_sealed(pl.DataFrame(), tmp_path / "none.parquet")
    assert (again := read_sealed(tmp_path / "none.parquet")) is not None
    assert again.shape == (0, 0)


def _seal(frame: pl.DataFrame, path: Path) -> str:
    write_sealed(frame, path)
    return pl.read_parquet_metadata(path)["sha256"]
