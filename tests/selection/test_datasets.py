from __future__ import annotations

import json

import polars as pl
import pytest

from efficient_empathy.selection.datasets import messages, write_subsets

AXES = ("sensibility", "rationality")

TRICKY = ['"quoted"\n\ttabbed', "nul \x00, \U0001f49c, \u2028", "", "ucla", "assistant"]


def rows():
    roles = ["speaker", "listener", "speaker", "listener", "speaker"]
    context = [{"role": role, "text": text} for role, text in zip(roles, TRICKY, strict=True)]
    return pl.DataFrame(
        {
            "sample_id": ["a", "b", "c", "d"],
            "dialogue_id": ["x", "x", "y", "z"],
            "context": [context, context[:1], context[:3], context[:1]],
            "response": ["", "unhappy", "a b", "never judged"],
            "category": ["sad", None, "joy", "joy"],
            "split": ["train"] * 4,
            "sensibility": [8.0, 7.5, 0.0, None],
            "rationality": [2.0, 1.0, 9.0, None],
            "subset": ["sensibility", "sensibility", "rationality", "unscored"],
        }
    )


def test_messages_keep_every_text_and_end_with_the_response():
    found = rows().select(messages())["messages"].to_list()
    assert [m["role"] for m in found[0]] == ["user", "assistant"] * 3
    assert [m["content"] for m in found[0]] == [*TRICKY, ""]
    assert [m["train"] for m in found[0]] == [False] * 5 + [True]
    assert found[1] == [
        {"role": "user", "content": TRICKY[0], "train": False},
        {"role": "assistant", "content": "unhappy", "train": True},
    ]


def test_subsets_as_parquet_and_json_lines_in_order(tmp_path):
    write_subsets(rows().lazy(), tmp_path, ["sensibility", "rationality", "discard"], AXES)
    lines = [json.loads(line) for line in (tmp_path / "sensibility.jsonl").read_text("utf-8").split("\n") if line]
    assert [line["sample_id"] for line in lines] == ["a", "b"]
    assert list(lines[1]) == ["messages", "sample_id", "dialogue_id", "category", "split", "sensibility", "rationality"]
    assert lines[1]["category"] == ""
    assert lines[0]["messages"][1]["content"] == TRICKY[1]
    table = pl.read_parquet(tmp_path / "sensibility.parquet")
    assert table["category"].to_list() == ["sad", None]
    assert table.with_columns(pl.col("category").fill_null("")).to_dicts() == lines
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{s}.{kind}" for s in ("sensibility", "rationality", "discard") for kind in ("jsonl", "parquet")
    )


def test_the_lines_load_with_datasets_whatever_the_first_ten_megabytes_lack(tmp_path):
    """Its JSON reader takes the types of all columns from the first 10 MB."""
    datasets = pytest.importorskip("datasets", reason='needs the extra "hub"')
    many = pl.concat([rows()[1:2]] * 360 + [rows()[:1]])
    long = many.with_columns(response=pl.lit("x" * 30_000), split=pl.Series([None] * 360 + ["train"]))
    write_subsets(long.lazy(), tmp_path, ["sensibility"], AXES)
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "sensibility.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["category"][:] == [""] * 360 + ["sad"]
    assert loaded["split"][:] == [""] * 360 + ["train"]
    assert loaded.features["sensibility"] == datasets.Value("float64")
    assert loaded[360]["messages"][-1] == {"role": "assistant", "content": "x" * 30_000, "train": True}


def test_an_empty_subset_has_files_with_the_same_columns(tmp_path):
    write_subsets(rows().lazy(), tmp_path, ["sensibility", "discard"], AXES)
    assert (tmp_path / "discard.jsonl").read_text() == ""
    empty, full = (pl.read_parquet(tmp_path / f"{s}.parquet") for s in ("discard", "sensibility"))
    assert (len(empty), empty.schema) == (0, full.schema)
