from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import (
    SAMPLE_SCHEMA,
    Sample,
    Utterance,
    open_source,
    read,
    scan_ids,
    scan_samples,
    uniform,
    write_samples,
)
from efficient_empathy.dialogues.rows import BadRowError
from efficient_empathy.foundation.errors import UserError


def samples(count: int) -> Iterator[Sample]:
    for i in range(count):
        context = [Utterance("speaker", f"hi {i}"), Utterance("listener", "hello"), Utterance("speaker", "ü 🎉")]
        yield Sample.of(context, f"yes {i}", category="sad" if i % 2 else None, source="here")


def test_samples_come_back_in_order_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    assert write_samples(samples(12_345), path) == 12_345
    chunks = list(scan_samples(path, 1_000))
    assert max(map(len, chunks)) <= 1_000
    assert [sample for chunk in chunks for sample in chunk] == list(samples(12_345))
    parts = list(scan_ids(path, 1_000))
    assert max(map(len, parts)) <= 1_000
    assert [one for part in parts for one in part] == [sample.id for sample in samples(12_345)]
    assert pl.read_parquet_schema(path) == SAMPLE_SCHEMA
    assert list(open_source(path)) == list(samples(12_345))


def test_no_samples_make_an_empty_file_with_the_columns(tmp_path: Path) -> None:
    assert write_samples([], tmp_path / "a") == 0
    assert pl.read_parquet(tmp_path / "a").schema == SAMPLE_SCHEMA
    assert list(scan_samples(tmp_path / "a")) == []


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_samples(samples(20_000), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_fault_while_writing_comes_out_as_it_is(tmp_path: Path) -> None:
    def faulty() -> Iterator[Sample]:
        yield from samples(6_000)
        raise BadRowError("file:7: no listener response")

    with pytest.raises(BadRowError, match="file:7"):
        write_samples(faulty(), tmp_path / "a")
    with pytest.raises(UserError, match="cannot write"):
        write_samples(samples(1), tmp_path / "none" / "a")


def test_what_is_not_samples_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not found"):
        list(scan_samples(tmp_path / "none"))
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a")
    with pytest.raises(UserError, match="does not hold samples: it has no column category, context"):
        list(scan_samples(tmp_path / "a"))


def test_read_gives_a_frame(write: Callable[..., Path]) -> None:
    frame = read(write("a.csv", "context,response,emotion\nhi,hello,\nhi,hello,sad\n"))
    assert frame.schema == SAMPLE_SCHEMA
    assert frame["category"].to_list() == [None, "sad"]
    assert frame["context"].to_list()[0] == [{"role": "speaker", "text": "hi"}]


def test_missing_text_is_empty_and_nothing_else_changes() -> None:
    frame = pl.DataFrame(
        {"category": ["sad", None], "empty": pl.Series([None, None], dtype=pl.String), "value": [None, 1.5]}
    )
    expected = [{"category": "sad", "empty": "", "value": None}, {"category": "", "empty": "", "value": 1.5}]
    assert uniform(frame).to_dicts() == uniform(frame.lazy()).collect().to_dicts() == expected
