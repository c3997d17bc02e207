import json
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.evaluation.ratings import (
    Design,
    RatingsRecord,
    Resampling,
    make_sheets,
    read_sheets,
    results_summary,
    sheets_summary,
)
from efficient_empathy.evaluation.ratings.record import Key, study_names
from efficient_empathy.evaluation.ratings.stage import delete_study
from efficient_empathy.foundation.errors import UserError
from rated_runs import asking, by_quality, fill, responded_run

FEW = Resampling(resamples=50)


def test_sheets_go_out_the_key_stays_and_what_was_made_is_told(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    made = make_sheets(run, ["moe", "base"], Design(("ann", "bo")), samples=5)
    assert [path.name for path in sorted((run.ratings / "main" / "sheets").iterdir())] == ["ann.xlsx", "bo.xlsx"]
    assert made.key == str(run.ratings / "main" / "key.json")
    assert made.items == {"likert": 10, "ab": 5}
    assert made.repeats == {"likert": 1, "ab": 1}
    told = sheets_summary(made)
    assert (
        "Study main: sheets for 2 raters, of 5 samples and 2 models: 10 ratings and 5 comparisons each. A rater has 17 "
        "tasks, hidden repeats (2) among them." in told
    )
    assert "Hand out those files alone; the key stays here" in told


def sheet_of(run, folder, **design):
    """What ann's sheet of ratings holds."""
    samples = 5
    made = make_sheets(
        run, ["moe", "base"], Design(("ann",), **design), folder, samples=samples, format="csv", force=True
    )
    return Path(made.files[0]).read_bytes()


def test_the_same_call_makes_the_same_sheets_again_and_in_another_run_others(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    sheet = sheet_of(run, tmp_path / "first")
    key = (run.ratings / "main" / "key.json").read_bytes()
    assert sheet_of(run, tmp_path / "again") == sheet
    assert (run.ratings / "main" / "key.json").read_bytes() == key
    other = responded_run(tmp_path / "other")
    assert sheet_of(other, tmp_path / "elsewhere") != sheet
    keys = [Key.read(one.ratings / "main" / "key.json") for one in (run, other)]
    assert keys[0].sheets[0].items.keys().isdisjoint(keys[1].sheets[0].items)
    assert keys[0].dialogues == keys[1].dialogues, "what is rated is the seed's choice"


def test_another_seed_has_another_secret_and_another_rater_changes_nobodys_sheet(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    sheet = sheet_of(run, tmp_path / "sheets")
    first = Key.read(run.ratings / "main" / "key.json").secret
    assert len(bytes.fromhex(first)) >= 16
    make_sheets(run, ["moe", "base"], Design(("bo", "ann")), tmp_path / "more", samples=5, format="csv", force=True)
    assert (tmp_path / "more" / "ann-ratings.csv").read_bytes() == sheet
    sheet_of(run, tmp_path / "sheets", seed=1)
    assert Key.read(run.ratings / "main" / "key.json").secret != first


def test_the_secret_is_in_the_key_alone_which_its_owner_alone_may_read(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    for kind in ("csv", "xlsx"):
        make_sheets(run, ["moe", "base"], Design(("ann",)), tmp_path / kind, samples=5, format=kind, force=True)
    secret = Key.read(run.ratings / "main" / "key.json").secret.encode()
    assert secret
    assert stat.S_IMODE((run.ratings / "main" / "key.json").stat().st_mode) == 0o600
    holders = [path.name for path in tmp_path.rglob("*") if path.is_file() and secret in contents(path)]
    assert set(holders) == {"key.json", "key-1.json"}


def contents(path):
    """The bytes of a file, and of all files in a workbook."""
    if path.suffix != ".xlsx":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_sheets_whose_key_has_no_secret_yet_are_read_and_give_way_to_secret_ones(handed_out) -> None:
    run, folder, key = handed_out()
    content = json.loads(key.json_text())
    del content["secret"]
    (run.ratings / "main" / "key.json").write_text(json.dumps(content))
    run.keep("sheets:main", [run.ratings / "main" / "key.json"])
    fill(folder, key)
    assert read_sheets(run, [folder], how=FEW).samples == 6
    make_sheets(run, ["moe", "base"], Design(("ann",)), samples=5, force=True)
    assert Key.read(run.ratings / "main" / "key.json").secret


def test_neither_sheets_nor_their_key_are_overwritten(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    make_sheets(run, ["moe", "base"], Design(("ann",)), samples=5)
    before = (run.ratings / "main" / "sheets" / "ann.xlsx").read_bytes()
    with pytest.raises(UserError, match="is there already and may be filled in"):
        make_sheets(run, ["moe", "base"], Design(("ann",)), samples=5)
    with pytest.raises(UserError, match="belongs to other sheets"):
        make_sheets(run, ["moe", "base"], Design(("ann",), seed=1), tmp_path / "more", samples=5)
    assert (run.ratings / "main" / "sheets" / "ann.xlsx").read_bytes() == before
    make_sheets(run, ["moe", "base"], Design(("ann",), seed=1), samples=5, force=True)
    assert (run.ratings / "main" / "key-1.json").exists()


KILLED_BEFORE_THE_SECOND = """
import os, sys
from efficient_empathy.evaluation.ratings import Design, make_sheets
from efficient_empathy.foundation.run.workspace import Workspace

places = set()

def kill(event, arguments):
    if event == "os.rename" and os.path.dirname(arguments[1]) == sys.argv[2]:
        places.add(arguments[1])
        if len(places) == 2:
            os.kill(os.getpid(), 9)

sys.addaudithook(kill)
make_sheets(Workspace(sys.argv[1]), ["moe", "base"], Design(("ann", "bo")), samples=5)
"""


def test_killed_on_their_way_the_missing_sheets_are_made_beside_those_that_may_be_filled_in(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    folder = run.ratings / "main" / "sheets"
    command = [sys.executable, "-c", KILLED_BEFORE_THE_SECOND, str(run.root), str(folder)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (first,) = folder.glob("[!.]*")
    before, key = first.read_bytes(), Key.read(run.ratings / "main" / "key.json")
    make_sheets(run, ["moe", "base"], Design(("ann", "bo")), samples=5)
    assert sorted(path.name for path in folder.iterdir()) == ["ann.xlsx", "bo.xlsx"]
    assert first.read_bytes() == before
    fill(folder, key)
    assert read_sheets(run, [folder], how=FEW).samples == 5


def test_sheets_never_lie_beside_the_key(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    with pytest.raises(UserError, match="is where the key is, which no rater may see"):
        make_sheets(run, ["moe", "base"], Design(("ann",)), run.ratings / "main")


@pytest.mark.parametrize("name", ["../ann", "a  b", "", "ann"])
def test_raters_have_names_that_files_can_have(tmp_path, name) -> None:
    with pytest.raises(UserError, match="a rater cannot be called"):
        make_sheets(responded_run(tmp_path / "run"), ["moe"], Design(("ann", name), asking(("likert",))))


def test_answers_come_in_as_results_and_as_rows(handed_out) -> None:
    run, folder, key = handed_out()
    fill(folder, key)
    found = read_sheets(run, [folder], how=FEW)
    assert RatingsRecord.read(run.ratings / "main" / "results.json") == found
    rows = pl.read_parquet(run.ratings / "main" / "ratings.parquet")
    assert len(rows) == sum(4 if item.task == "likert" else 1 for sheet in key.sheets for item in sheet.items.values())
    moe = rows.filter(pl.col("models").list.contains("moe"))
    assert set(moe.filter(pl.col("task") == "likert")["value"]) == {5.0}
    assert set(moe.filter(pl.col("task") == "ab")["value"]) == {1.0}
    assert set(moe.filter(pl.col("task") == "ab")["side"]) == {"left", "right"}
    told = results_summary(found)
    assert "moe: 5.00 [5.00, 5.00], 12 ratings" in told
    assert "moe against base (better): 12 won, 0 tied, 0 lost, sign test p = 0.031, Holm p = 0.094" in told
    assert "agreement of 2 raters: Fleiss' κ 1.00" in told


def test_comments_are_kept(handed_out) -> None:
    from rated_runs import rewrite_csv

    run, folder, key = handed_out()
    fill(folder, key)
    rewrite_csv(folder / "ann-ratings.csv", lambda rows: [*rows[:2], [*rows[2][:-1], "too long"], *rows[3:]])
    (comment,) = read_sheets(run, [folder], how=FEW).comments
    assert (comment.rater, comment.text) == ("ann", "too long")


def test_missing_answers_are_counted_or_stop_it(handed_out) -> None:
    run, folder, key = handed_out(repeats=0)
    gaps = [item.text for item in list(key.sheets[0].items.values())[:2]]

    def answer(rater, item, question):
        return (
            "" if (rater, question) == ("ann", "empathy") and item.text in gaps else by_quality(rater, item, question)
        )

    fill(folder, key, answer)
    with pytest.raises(
        UserError, match=r"ann-ratings\.csv, row 2: empathy is empty: fill it in, or use --on-missing skip"
    ):
        read_sheets(run, [folder], on_missing="fail", how=FEW)
    assert not (run.ratings / "main" / "results.json").exists()
    found = read_sheets(run, [folder], how=FEW)
    assert "ann left single cells empty: empathy 2" in found.problems
    assert sum(one.n for one in found.likert["empathy"].models) == 2 * 18 - 2
    with pytest.raises(UserError, match="items are on no sheet that was read"):
        read_sheets(run, [folder / "bo-ratings.csv", folder / "bo-comparisons.csv"], on_missing="fail", how=FEW)


def test_nothing_is_no_result(handed_out, tmp_path) -> None:
    run, folder, _ = handed_out()
    with pytest.raises(UserError, match="no item has an answer yet"):
        read_sheets(run, [folder])
    with pytest.raises(UserError, match=r"key\.json is missing: make sheets with"):
        read_sheets(responded_run(tmp_path / "other"), [folder])


def test_a_folder_that_cannot_be_made(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file"):
        make_sheets(run, ["moe"], Design(("ann",), asking(("likert",))), tmp_path / "file")
    assert not (run.ratings / "main" / "key.json").exists()


def test_two_studies_of_a_run_stand_beside_each_other(handed_out) -> None:
    run, folder, key = handed_out()
    _, pilot_folder, pilot = handed_out(run=run, study="pilot", questions="by-dimension", tasks=("ab",))
    assert pilot.secret != key.secret
    fill(folder, key)
    fill(pilot_folder, pilot, lambda rater, item, question: "tie")
    with pytest.raises(UserError, match="the run has the studies main, pilot: say with --study whose sheets these are"):
        read_sheets(run, [folder], how=FEW)
    first = read_sheets(run, [folder], study="main", how=FEW)
    second = read_sheets(run, [pilot_folder], study="pilot", how=FEW)
    assert (first.study, second.study) == ("main", "pilot")
    assert RatingsRecord.read(run.ratings / "main" / "results.json") == first
    assert {row.tie for row in second.ab} == {12}
    assert set(run.manifest().stages) >= {"ratings:main", "ratings:pilot", "sheets:main", "sheets:pilot"}
    with pytest.raises(UserError, match=r"other.key\.json is missing \(there are main, pilot\)"):
        read_sheets(run, [folder], study="other", how=FEW)
    delete_study(run, "pilot")
    assert study_names(run) == ["main"]
    assert not [name for name in run.manifest().stages if "pilot" in name]
    assert read_sheets(run, [folder], how=FEW) == first


def test_sheets_are_read_with_a_key_from_elsewhere(handed_out, tmp_path) -> None:
    run, folder, key = handed_out(study="pilot")
    fill(folder, key)
    found = read_sheets(run, [folder], how=FEW)
    other = responded_run(tmp_path / "other")
    assert read_sheets(other, [folder], key=key, how=FEW) == found
    assert RatingsRecord.read(other.ratings / "pilot" / "results.json") == found


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "sheets.csv", "x" * 61, " a"])
def test_a_study_has_a_name_that_a_folder_can_have(tmp_path, name) -> None:
    with pytest.raises(UserError, match="a study cannot be called"):
        make_sheets(responded_run(tmp_path / "run"), ["moe"], Design(("ann",), asking(("likert",))), study=name)
