import polars as pl
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction import predict
from efficient_empathy.labelling.prediction.stage import check_output, require_reference, write
from efficient_empathy.recipe import DIALOGUES
from strange_conversations import KIND, bare_folder, sample


def test_a_source_is_judged_without_a_run_and_without_a_file(predictor, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (DIALOGUES / "test.jsonl").read_text("utf-8").splitlines()[:5]
    (tmp_path / "few.jsonl").write_text("\n".join(lines), "utf-8")
    seen = []
    found = predict("few.jsonl", predictor, on_progress=seen.append)
    assert found.result["conversations"] == len(found.conversations) == 5
    assert seen == [found.result["samples"]] == [len(found.samples)]
    assert sum(found.result["expected_shares"].values()) == pytest.approx(1, abs=1e-3)
    assert found.result["mean"]["sensibility"] == pytest.approx(found.samples["sensibility"].mean(), abs=1e-3)
    weakest = [row["weakest_p_discard"] for row in found.result["weakest"]]
    assert weakest == sorted(weakest, reverse=True)
    assert [path.name for path in tmp_path.iterdir()] == ["few.jsonl"]


@pytest.mark.parametrize(
    ("name", "read"), [("a.jsonl", pl.read_ndjson), ("a.csv", pl.read_csv), ("a.parquet", pl.read_parquet)]
)
def test_figures_are_written_as_the_name_says(predictor, tmp_path, name, read) -> None:
    frame = predict([sample(KIND)], predictor).samples
    write(frame, tmp_path / name)
    back = read(tmp_path / name)
    assert back.columns == frame.columns
    assert back["sensibility"][0] == pytest.approx(frame["sensibility"][0])
    assert len([*tmp_path.iterdir()]) == 1


def test_a_file_that_cannot_be_written_is_told_before_anything_is_judged(tmp_path) -> None:
    with pytest.raises(UserError, match="must end in"):
        check_output(tmp_path / "figures.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        check_output(tmp_path / "folder.csv")


def test_a_judge_without_a_reference_cannot_check_drift(predictor, tmp_path) -> None:
    from efficient_empathy.labelling.prediction import Predictor

    require_reference(predictor)
    with pytest.raises(UserError, match="drift cannot be checked"):
        require_reference(Predictor(bare_folder(tmp_path / "judge")))
