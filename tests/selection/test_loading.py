"""What `select` writes loads with Hugging Face `datasets`, whatever is missing where."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.dialogues import storage
from efficient_empathy.selection import select
from efficient_empathy.selection.exports import write_subsets

datasets = pytest.importorskip("datasets", reason='needs the extra "hub"')

BLOCK = 8192
"""Here in place of the 10 MB from which `datasets` takes the types."""
AXES = ("sensibility", "rationality")
FACTS = {
    "category": st.sampled_from([None, "sad", "2024-01-01"]),
    "split": st.sampled_from([None, "train"]),
    "dialogue_id": st.sampled_from(["2024-05-01", "2024-05-01 10:00", "call 7"]),
    "sensibility": st.sampled_from([None, math.nan, 8.0, 7.5]),
    "rationality": st.sampled_from([None, 0.0, 2.5]),
}
RUNS = st.lists(st.tuples(st.fixed_dictionaries(FACTS), st.sampled_from([1, 2, 60])), min_size=1, max_size=5)
"""Rows that are alike, again and again, then others."""


def load(path: Path, **options: Any) -> Any:
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset(
            path.suffix[1:].replace("jsonl", "json"), data_files=str(path), split="train", cache_dir=cache, **options
        )
        return data.to_list()


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    context = [{"role": "speaker", "text": "I lost my keys"}]
    columns = {name: [row[name] for row in rows] for name in FACTS}
    return pl.DataFrame(
        {
            **columns,
            "sample_id": [str(number) for number in range(len(rows))],
            "context": [context] * len(rows),
            "response": [row.get("response", "Where did you see them last?") for row in rows],
            "subset": ["sensibility"] * len(rows),
        },
        schema_overrides={"category": pl.String, "split": pl.String, **dict.fromkeys(AXES, pl.Float32)},
    )


def figure(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


@settings(max_examples=60, deadline=None)
@given(runs=RUNS)
def test_the_lines_load_whatever_the_first_block_lacks(runs) -> None:
    rows = [row for row, count in runs for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "_BLOCK", BLOCK)
        write_subsets(frame(rows).lazy(), Path(folder), ["sensibility"], AXES)
        loaded = load(Path(folder, "sensibility.jsonl"), chunksize=BLOCK)
    loaded.sort(key=lambda row: int(row["sample_id"]))
    assert [row["split"] for row in loaded] == [row["split"] or "" for row in rows]
    for axis in AXES:
        assert [row[axis] for row in loaded] == [figure(row[axis]) for row in rows]
    if all(row["category"] != "2024-01-01" for row in rows):  # a block of dates alone comes back as times
        assert [row["category"] for row in loaded] == [row["category"] or "" for row in rows]


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ({"category": None}, {"category": "sad"}),
        ({"split": None}, {"split": "train"}),
        ({"rationality": None}, {"rationality": 2.5}),
        ({"sensibility": 8.0}, {"sensibility": 7.5}),
        ({"category": "2024-01-01"}, {"category": "sad"}),
        ({"dialogue_id": "2024-05-01"}, {"dialogue_id": "call 7"}),
    ],
)
def test_the_lines_load_where_ten_megabytes_show_nothing(tmp_path, early, late) -> None:
    usual = dict.fromkeys(FACTS) | {"dialogue_id": "d", "sensibility": 8.0, "response": "x" * 30_000}
    rows = [usual | early] * 360 + [usual | late]
    write_subsets(frame(rows).lazy(), tmp_path, ["sensibility"], AXES)
    (name,) = late
    missing = None if name in AXES else ""
    loaded = {row["sample_id"]: row[name] for row in load(tmp_path / "sensibility.jsonl")}
    values = [loaded[str(number)] for number in range(361)]
    as_dates = [value.removesuffix(" 00:00:00") if isinstance(value, str) else value for value in values]
    assert as_dates == [early[name] or missing] * 360 + [late[name]]


def test_rows_keep_their_order_where_the_first_block_shows_all(tmp_path) -> None:
    usual = dict.fromkeys(FACTS) | {"dialogue_id": "d", "sensibility": 8.0}
    write_subsets(frame([usual, usual, usual | {"rationality": 2.5}]).lazy(), tmp_path, ["sensibility"], AXES)
    loaded = load(tmp_path / "sensibility.jsonl")
    assert [(row["sample_id"], row["rationality"]) for row in loaded] == [("0", None), ("1", None), ("2", 2.5)]


@pytest.mark.parametrize("pairs", [[(8, 2)], [(8, 2), (2, 9)], [(1, 1)]])
def test_every_file_of_a_selection_that_has_a_row_loads_and_no_other_is_exported(run, pairs) -> None:
    workspace = run(pairs)
    sizes = select(workspace).subsets
    lines = sorted(path.stem for path in workspace.selection.glob("*.jsonl"))
    assert lines == sorted(subset for subset, size in sizes.items() if size)
    assert {subset: len(load(workspace.selection / f"{subset}.jsonl")) for subset in lines} == {
        subset: size for subset, size in sizes.items() if size
    }
    for subset in lines:
        assert load(workspace.selection / f"{subset}.parquet") == load(workspace.selection / f"{subset}.jsonl")
