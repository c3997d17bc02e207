import math
import runpy
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from efficient_empathy.evaluation.metric import MetricOptions, compute
from efficient_empathy.evaluation.metrics.official import Official
from efficient_empathy.evaluation.pairs import pair_texts, read_systems
from efficient_empathy.evaluation.tokens import split, words
from shared_data import FOLDER, needs_shared_data

nltk_tokenize = pytest.importorskip("nltk.tokenize", reason='needs the extra "eval"')

ROOT = Path(__file__).parents[3]
official = runpy.run_path(str(ROOT / "benchmarks" / "contenders" / "official_procedure.py"))["official"]

BUILTIN = MetricOptions(splitter="builtin")
PIECES = ["the", "a", "sad", "i", "you", "hope", "okay", ".", "!", "?", "...", '"', "n't", "cannot", "(", ")", "😀", "é", "'s", "so."]  # fmt: skip  # noqa: E501
REPLIES = st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)


def plain(predictions: list[str], references: list[str]) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return official(
            predictions, references, lambda text: [word for sentence in split(text) for word in words(sentence)]
        )


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in sorted(figures.items())}


@given(st.lists(st.tuples(REPLIES, REPLIES), min_size=1, max_size=6))
@example([("", "")])
@example([("", "the end")])
@example([("hello", "goodbye")])
@example([("hello", "hello")])
@example([("hello you", "hello")])
@example([("the", "a"), ("", "...")])
@example([("x " * 150, "y " * 70 + "x " * 90)])
@settings(max_examples=300)
def test_the_figures_are_the_plain_procedures(pairs: list[tuple[str, str]]) -> None:
    predictions, references = ([pair[i] for pair in pairs] for i in (0, 1))
    assert rounded(compute(Official(BUILTIN), predictions, references)) == rounded(plain(predictions, references))


def test_the_figures_have_the_released_codes_names() -> None:
    names = {"cf1", "bleu1", "bleu2", "bleu3", "bleu4", "dist1", "dist2", "rouge1", "rouge2", "rougeL"}
    assert {figure.name for figure in Official.figures} == names
    assert compute(Official(BUILTIN), ["oh no"], ["oh no"]).keys() == names


def test_known_values() -> None:
    found = compute(Official(BUILTIN), ["i am so sorry ."], ["i am sorry ."])
    assert found["bleu1"] == pytest.approx(80)
    assert found["rouge1"] == pytest.approx(100 * 6 / 7)
    assert found["cf1"] == pytest.approx(100 * 8 / 9)
    assert found["dist1"] == pytest.approx(100)


def test_two_empty_texts_have_a_rouge_of_100_as_in_the_released_code() -> None:
    found = compute(Official(BUILTIN), [""], ["the ."])
    assert (found["rouge1"], found["rouge2"], found["rougeL"], found["bleu1"]) == (100, 0, 100, 0)


def test_weights_count_rows_as_often_as_they_say() -> None:
    predictions = ["i am so sorry .", "oh no !", "", "that is great . i am happy"]
    references = ["i am sorry to hear that .", "oh no , why ?", "yes", "great !"]
    counted = Official(BUILTIN).measure(pair_texts(predictions, references))
    weights = np.array([[1, 0, 1, 0], [2, 1, 0, 3], [1, 1, 1, 1]], np.float64)
    found = counted.under(weights)
    for draw, times in enumerate(weights.astype(int)):
        rows = [i for i, n in enumerate(times) for _ in range(n)]
        once = {i: i for i in rows}
        alone = plain([predictions[i] for i in rows], [references[i] for i in rows])
        for name in ("cf1", "bleu1", "bleu2", "bleu3", "bleu4", "rouge1", "rouge2", "rougeL"):
            assert found[name][draw] == pytest.approx(alone[name], abs=1e-9), name
        if times.max() == 1:
            alone = plain([predictions[i] for i in once], [references[i] for i in once])
            assert found["dist2"][draw] == pytest.approx(alone["dist2"], abs=1e-9)
    assert [part.repeatable for part in counted.parts] == [True, False, False]


def test_no_rows_are_undefined_or_nothing_but_no_crash() -> None:
    found = Official(BUILTIN).measure(pair_texts([], [])).under()
    assert math.isnan(found["rouge1"][0])
    assert found["bleu1"][0] == 0


def test_rows_are_counted_the_same_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pair_texts(["oh no .", "i see", "why ?", "oh no ."] * 3, ["oh .", "i do not see", "why not ?", "no ."] * 3)
    whole = Official(BUILTIN).measure(rows).under()
    monkeypatch.setattr("efficient_empathy.evaluation.metrics.official._ROWS", 5)
    assert Official(BUILTIN).measure(rows).under() == whole


def test_the_splitter_is_told() -> None:
    assert Official(BUILTIN).about["splitter"] == "builtin"


@pytest.fixture(scope="module")
def released() -> dict[str, pl.DataFrame]:
    return read_systems(FOLDER / "baseline_outputs" / "ed_test.jsonl.gz")


PUBLISHED = {
    "EmpDG_repo/moel_rerun": (2713, 21.54, 9.62, 2.86, 1.38, 8.65, 18.76, 16.96, 87),
    "EmpDG_repo/empdg_w_feedback": (2713, 18.57, 8.73, 3.16, 1.81, 6.94, 16.86, 15.51, 66),
    "KEMP_repo/kemp": (5255, 17.34, 7.50, 2.44, 0.60, 2.64, 16.14, 14.71, 41),
    "MIME_repo/mime_greedy": (5255, 21.81, 9.60, 2.76, 0.32, 1.24, 18.51, 16.38, 25),
    "MIME_repo/mime_beam": (5255, 20.95, 9.43, 3.13, 0.25, 0.87, 18.56, 16.63, 15),
}


@needs_shared_data
@pytest.mark.parametrize("system", PUBLISHED)
def test_the_table_measured_elsewhere(system: str, released: dict[str, pl.DataFrame]) -> None:
    n, *figures, _ = PUBLISHED[system]
    rows = released[system]
    found = Official(BUILTIN).measure(rows).under()
    names = ("bleu1", "bleu2", "bleu4", "dist1", "dist2", "rouge1", "rougeL")
    assert len(rows) == n
    assert [float(found[name][0]) for name in names] == pytest.approx(figures, abs=0.0052)
    assert 100 * rows["prediction"].n_unique() / n == pytest.approx(PUBLISHED[system][-1], abs=0.5)


@pytest.mark.skipif(not nltk_tokenize.punkt_model_available(), reason="NLTK's punkt_tab is not on this machine")
def test_with_nltks_splitter_the_figures_are_those_of_word_tokenize() -> None:
    predictions = ["It is ok. I see Dr. Smith at 5. He helps...", 'she said "stop!" and left.', "u.s. tours. fun?"]
    references = ["i see dr. smith. he helps me.", "he said stop.", "it is in the u.s. now."]
    with_nltk = compute(Official(MetricOptions(splitter="nltk")), predictions, references)
    assert rounded(with_nltk) == rounded(official(predictions, references, nltk_tokenize.word_tokenize))
