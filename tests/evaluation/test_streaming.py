import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awkward_texts import AWKWARD_TEXTS
from efficient_empathy.evaluation import streaming
from efficient_empathy.evaluation.comparing import Contestant, compare
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.pairs import read_pairs
from efficient_empathy.evaluation.streaming import stream
from efficient_empathy.foundation.errors import UserError

TEXTS = AWKWARD_TEXTS.map(lambda text: text.replace("\0", ""))
METRICS = choose(["official", "texts"])


def whole(predictions, references):
    return compare([Contestant("ours", "ours", read_pairs(predictions, references))], METRICS, resamples=0)


def lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12), at_once=st.integers(1, 5))
def test_figures_are_those_of_reading_it_whole(tmp_path_factory, rows, at_once) -> None:
    folder = tmp_path_factory.mktemp("streamed")
    ours = lines(folder / "ours.jsonl", [{"text": prediction} for prediction, _ in rows])
    theirs = lines(folder / "theirs.jsonl", [{"text": reference} for _, reference in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "_AT_ONCE", at_once)
        found = stream("ours", ours, theirs, METRICS)
    expected = whole(ours, theirs)
    for key in ("n", "dialogues", "metrics", "about"):
        assert found[key] == expected[key]
    assert found["models"][0]["values"] == pytest.approx(expected["models"][0]["values"], abs=2e-6)


def test_one_file_with_both_and_a_compressed_one(tmp_path) -> None:
    both = lines(tmp_path / "both.jsonl", [{"prediction": "oh no", "reference": "oh dear"}] * 3)
    (tmp_path / "both.jsonl.gz").write_bytes(gzip.compress(both.read_bytes()))
    assert stream("ours", both, None, METRICS)["models"][0]["values"]["bleu1"] == 50
    assert stream("ours", tmp_path / "both.jsonl.gz", None, METRICS)["n"] == 3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([{"id": "a", "text": "x"}, {"id": "b", "text": "y"}], [{"id": "b", "text": "y"}, {"id": "a", "text": "x"}]),
        ([{"text": "x", "dialogue_id": "d"}], [{"text": "x"}]),
        ([{"outputs": {"one": "x"}}], [{"text": "x"}]),
        ([{"text": "x"}], [{"text": "x"}, {"text": "y"}]),
        ([], [{"text": "x"}]),
    ],
)
def test_what_must_be_read_whole_is_left(tmp_path, ours, theirs) -> None:
    assert stream("o", lines(tmp_path / "o.jsonl", ours), lines(tmp_path / "t.jsonl", theirs), METRICS) is None


def test_a_metric_that_needs_all_rows_is_left(tmp_path) -> None:
    both = lines(tmp_path / "both.jsonl", [{"prediction": "oh no", "reference": "oh dear"}])
    assert stream("ours", both, None, choose(["official", "standard"])) is None


def test_a_bad_line_is_named(tmp_path) -> None:
    both = lines(tmp_path / "both.jsonl", [{"prediction": "x", "reference": "y"}, {"prediction": None}])
    with pytest.raises(UserError, match=r"both\.jsonl:2"):
        stream("ours", both, None, METRICS)
