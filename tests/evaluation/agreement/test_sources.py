import gzip
import json

import polars as pl
import pytest

from efficient_empathy.evaluation.agreement.sources import read_raters
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Judgement, Ledger
from judge_specs import spec_of
from rated_panels import dialogue_samples, judge_run, scores


@pytest.fixture
def run(tmp_path):
    return judge_run(tmp_path / "gpt", dialogue_samples(6), scores(6))


def test_a_run_is_one_rater_and_brings_what_is_known_of_the_items(run) -> None:
    [rater] = read_raters([str(run.root)])
    assert rater.name == "gpt"
    assert rater.axes == ["sensibility", "rationality"]
    assert rater.scales == {"sensibility": (0, 10), "rationality": (0, 10)}
    assert rater.about["dialogue_id"].to_list() == ["d0", "d0", "d1", "d1", "d2", "d2"]
    assert rater.about["response_words"].min() >= 3
    assert [r.name for r in read_raters([f"judge one={run.root}"])] == ["judge one"]


def test_failed_judgements_are_missing_and_counted(tmp_path) -> None:
    states = ["ok", "refused", "ok", None]
    run = judge_run(tmp_path / "r", dialogue_samples(4), scores(4), states=states)
    [rater] = read_raters([str(run.root)])
    assert len(rater.scores) == 2
    assert rater.failed == {"refused": 1, "not judged": 1}


def ledger(path, judges) -> None:
    with Ledger(path) as book:
        for spec, name, values in judges:
            for item, value in values.items():
                state = "ok" if value is not None else "api_error"
                given = {"empathy": float(value)} if value is not None else {}
                book.record(spec, [Judgement(item, state, name, "r1", scores=given)])


def test_a_ledger_gives_every_judge_with_all_its_rounds(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger(path, [
        (spec_of("a"), "a", {"x": 3, "y": 4}), (spec_of("a", 2), "a", {"x": 4, "y": None}),
        (spec_of("b"), "b", {"x": 5}),
    ])  # fmt: skip
    first, second = read_raters([str(path)])
    assert (first.name, first.rounds(), second.name, second.rounds()) == ("a", [1, 2], "b", [1])
    assert first.failed == {"api_error": 1}
    [only] = read_raters([f"me={tmp_path}#b"])
    assert only.name == "me"
    [one_round] = read_raters([f"{path}#{spec_of('a', 2).key}"])
    assert one_round.scores["empathy"].to_list() == [4]
    with pytest.raises(UserError, match="no judge 'c': there are a, b"):
        read_raters([f"{path}#c"])
    with pytest.raises(UserError, match="holds 2 raters"):
        read_raters([f"me={path}"])


def test_long_tables_in_every_container(tmp_path) -> None:
    rows = [
        {"rater": r, "item_id": i, "Empathy": e} for r, i, e in [("ann", "x", 3), ("bo", "x", None), ("bo", "y", 2)]
    ]
    frame = pl.DataFrame(rows)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "b.parquet")
    nested = [
        json.dumps({"annotator": r["rater"], "item_id": r["item_id"], "scores": {"empathy": r["Empathy"]}})
        for r in rows
    ]
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress("\n".join(nested).encode()))
    for name in ("a.csv", "b.parquet", "c.jsonl.gz"):
        ann, bo = read_raters([str(tmp_path / name)])
        assert (ann.name, ann.scores["empathy"].to_list()) == ("ann", [3])
        assert (bo.name, bo.scores["empathy"].to_list()) == ("bo", [None, 2])
    assert [r.name for r in read_raters({"ignored": frame.filter(rater="ann")})] == ["ignored"]
    assert [r.name for r in read_raters([f"{tmp_path / 'a.csv'}#bo"])] == ["bo"]


def test_wide_tables(tmp_path) -> None:
    (tmp_path / "w.csv").write_text("item_id,Ann.empathy,bo.empathy,note\nx,3,4,fine\ny,,5,\n")
    ann, bo = read_raters([str(tmp_path / "w.csv")])
    assert (ann.name, ann.axes, ann.scores["empathy"].to_list()) == ("Ann", ["empathy"], [3, None])
    assert bo.scores["empathy"].to_list() == [4, 5]
    (tmp_path / "ann.csv").write_text("sample_id,empathy,fluency,comment\nx,3,1,good\n")
    [alone] = read_raters([str(tmp_path / "ann.csv")])
    assert (alone.name, alone.axes) == ("ann", ["empathy", "fluency"])


def test_an_emotion_is_a_category_in_words_and_an_axis_in_numbers(tmp_path) -> None:
    (tmp_path / "words.csv").write_text("item_id,empathy,emotion\nx,3,afraid\n")
    (tmp_path / "numbers.csv").write_text("item_id,empathy,emotion\nx,3,2\n")
    words, numbers = read_raters([str(tmp_path / "words.csv"), str(tmp_path / "numbers.csv")])
    assert (words.axes, words.about["category"].to_list()) == (["empathy"], ["afraid"])
    assert (numbers.axes, numbers.about["category"].to_list()) == (["empathy", "emotion"], [None])


def test_a_round_column_keeps_repeats(tmp_path) -> None:
    (tmp_path / "r.csv").write_text("rater,item_id,round,empathy\na,x,1,3\na,x,2,4\n")
    [rater] = read_raters([str(tmp_path / "r.csv")])
    assert rater.rounds() == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("rater,item_id,empathy\n", "is empty"),
        ("rater,empathy\na,3\n", "no column sample_id or item_id"),
        ("rater,item_id,note\na,x,nice\n", "no axis"),
        ("rater,item_id,empathy\na,x,3\na,y,4\na,x,4\n", r"t.csv:4: the item 'x' was rated .* before \(.*t.csv:2\)"),
        ("rater,item_id,empathy\na,x,3\na,y,good\na,z,4\n", "t.csv:3: empathy is 'good', not a number"),
        ("rater,item_id,empathy\na,,3\n", "t.csv:2: item_id is empty"),
        ("rater,item_id,empathy\n,x,3\n", "t.csv:2: rater is empty"),
        ("rater,item_id,empathy\na,x,3,4\n", "t.csv:2: 4 fields"),
        ("rater,item_id,round,empathy\na,x,first,3\n", "the round is 'first'"),
        ("item_id,turn,empathy\nx,late,3\n", "turn is 'late'"),
    ],
)
def test_faults_of_a_table_are_named_by_their_row(tmp_path, text, said) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_raters([str(tmp_path / "t.csv")])


def test_faults_of_references(tmp_path, run) -> None:
    with pytest.raises(UserError, match="is not there"):
        read_raters([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match=r"two raters are called 'gpt'.*NAME=PATH"):
        read_raters([str(run.root), f"gpt={run.root}"])
    with pytest.raises(UserError, match="efficient-empathy score"):
        read_raters([str(tmp_path)])
    with pytest.raises(UserError, match="no rater is named"):
        read_raters([])
