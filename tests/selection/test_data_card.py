from __future__ import annotations

import polars as pl
import yaml

from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.selection.data_card import MOST_CATEGORIES, data_card
from efficient_empathy.selection.policies import load_policy
from scored_runs import score_summary


def card(rows, scoring=None, policy=None, sizes=None):
    counts = pl.DataFrame(
        rows, schema={"subset": pl.String, "category": pl.String, "state": pl.String, "count": pl.UInt32}, orient="row"
    )
    record = SelectRecord(
        policy=(policy or load_policy("paper")).definition(),
        seed=0,
        decided_on="scores",
        subsets={"sensibility": 3, "discard": 1} | (sizes or {}),
        otherwise="discard",
        unscored=0,
        inputs={"scores.parquet": "abc"},
        seconds=1,
    )
    return data_card(counts, record, ["sensibility", "rationality"], score_summary(**(scoring or {})))


def test_front_matter_has_one_config_per_subset_with_samples():
    text = card([("sensibility", "sad", "ok", 3)], sizes={"rationality": 0})
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["configs"] == [
        {"config_name": "sensibility", "data_files": "sensibility.parquet"},
        {"config_name": "discard", "data_files": "discard.parquet"},
    ]
    assert front["size_categories"] == ["n<1K"]


def test_tells_counts_losses_cost_and_inputs():
    text = card(
        [
            ("sensibility", "sad", "ok", 3000),
            ("discard", "sad", "ok", 1000),
            ("unscored", "joy", "refused", 7),
            ("unscored", None, None, 2),
        ],
        {"bad_rows": 4, "duplicates": 5, "cost_usd": 1.5, "judge": "openai"},
    )
    for row in (
        "| sensibility | 3,000 | 75.00% |",
        "| without scores: refused | 7 |",
        "| without scores: not judged | 2 |",
        "| bad rows in the source, skipped | 4 |",
        "| duplicates | 5 |",
        "| sad | 3,000 | 1,000 | 0 |",
        "| no category | 0 | 0 | 2 |",
        "| judge | openai |",
        "| cost of scoring | $1.5000 |",
        "| SHA-256 of scores.parquet | `abc` |",
        "1. rationality above β = 5 → rationality",
        "3. otherwise → discard",
        "It decided on scores; equal samples were told apart with the seed 0.",
    ):
        assert row in text


def test_the_judge_that_gave_the_scores_is_named():
    assert "with the scores that the judge “minilm-empathy” gave the response" in card([], {"judge": "minilm-empathy"})
    assert "LLM" not in card([], {"judge": "minilm-empathy"})


def test_parameters_and_origins_are_words_and_no_python():
    text = card(
        [],
        {
            "source": {"name": "chats.csv", "format": "table", "digest": "d1d1"},
            "rubric": {"name": "mine", "hash": "0123", "axes": {"sensibility": [0, 10], "rationality": [1, 5]}},
        },
        load_policy("top", top=0.3, per_category=True, quotas={"sad": 100, "a|b": 0.2}),
    )
    for row in (
        "1. the best 30 % by each axis within each category",
        "2. the best 100 by each axis in sad",
        "3. the best 20 % by each axis in a\\|b",
        "| source | chats.csv |",
        "| read as | table |",
        "| Digest of the source (SHA-256) | d1d1 |",
        "| rubric | mine |",
        "| hash of the rubric | 0123 |",
        "| scales | sensibility 0–10, rationality 1–5 |",
    ):
        assert row in text
    assert not [token for token in ("{", "None", "True") if token in text]


def test_what_was_mended_or_not_read_is_listed():
    files = [f"data/notes-{n}.bin" for n in range(25)]
    text = card([], {"repairs": {"running turns merged": 1200}, "skipped_files": files})
    assert "| mended: running turns merged | 1,200 |" in text
    assert "| files not read: notes-0.bin, notes-1.bin," in text
    assert "notes-19.bin and 5 more | 25 |" in text


def test_a_category_cannot_break_out_of_its_cell():
    assert "| a\\|b &lt;script> c | 3 | 0 | 0 |" in card([("sensibility", "a|b <script>\nc", "ok", 3)])


def test_many_categories_are_summed_up():
    text = card([("sensibility", f"c{n}", "ok", 2) for n in range(MOST_CATEGORIES + 10)])
    assert "| 10 smaller ones | 20 | 0 | 0 |" in text


def test_nothing_scored():
    assert "| sensibility | 0 | – |" in card([])
