import polars as pl
import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.evaluation.pairwise.responses import read_pairs
from efficient_empathy.foundation.errors import UserError
from two_models import respond, run_of_two, story


@pytest.fixture
def workspace(tmp_path):
    return run_of_two(tmp_path / "run", [f"moe {i}" for i in range(6)], [f"base {i}" for i in range(6)])


def test_rows_stand_in_the_samples_order_with_both_responses(workspace) -> None:
    rows = read_pairs(workspace, "moe", "base")
    assert rows.columns == ["sample_id", "dialogue_id", "context", "a", "b"]
    assert rows["a"].to_list() == [f"moe {i}" for i in range(6)]
    assert rows["b"].to_list() == [f"base {i}" for i in range(6)]
    assert rows["dialogue_id"].to_list() == ["d0", "d0", "d1", "d1", "d2", "d2"]


def test_the_reference_is_an_opponent_too(workspace) -> None:
    rows = read_pairs(workspace, "reference", "moe")
    assert rows["a"][3] == story(3).response
    assert rows["b"][3] == "moe 3"


def test_a_few_samples_are_part_of_more(workspace) -> None:
    few, more = (set(read_pairs(workspace, "moe", "base", n)["sample_id"]) for n in (2, 4))
    assert len(few) == 2
    assert few < more


def test_a_repeated_sample_is_compared_once(workspace) -> None:
    write_samples([*(story(i) for i in range(6)), story(0)], workspace.samples)
    path = workspace.generations / "moe.parquet"
    frame = pl.read_parquet(path)
    pl.concat([frame, frame[:1]]).write_parquet(path)
    assert len(read_pairs(workspace, "moe", "base")) == 6


def test_models_that_answered_other_samples_are_refused(workspace) -> None:
    respond(workspace, "base", {story(i).id: "x" for i in range(4, 8)})
    with pytest.raises(UserError, match="moe answered 6 samples and base 4, 2 of them the same"):
        read_pairs(workspace, "moe", "base")


def test_responses_to_samples_that_are_gone_are_refused(workspace) -> None:
    write_samples([story(i) for i in range(4)], workspace.samples)
    with pytest.raises(UserError, match="2 of the responses are to samples"):
        read_pairs(workspace, "moe", "base")


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("moe", "moe", "two different models"),
        ("sensibility", "base", "no responses of 'sensibility', there are base, moe, reference"),
        ("../samples", "base", r"no responses of '\.\./samples'"),
    ],
)
def test_a_wrong_name_says_which_there_are(workspace, a: str, b: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_pairs(workspace, a, b)


def test_a_file_that_is_none_is_named(workspace) -> None:
    (workspace.generations / "moe.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"cannot read .*moe\.parquet"):
        read_pairs(workspace, "moe", "base")
