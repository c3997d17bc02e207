import polars as pl
import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.scores import write_scores
from samples import make_samples

RUBRIC = Rubric.load()


def point(value: int) -> list[float]:
    return [float(i == value) for i in range(11)]


@pytest.fixture
def table(tmp_path):
    """Three samples: one judged with distributions, one failed, one not judged yet."""
    samples = make_samples(3)
    write_samples(samples, tmp_path / "samples.parquet")
    half = [0.5 * (a + b) for a, b in zip(point(6), point(8), strict=True)]
    good = Judgement(
        samples[0].id, "ok", "j", "r", {"sensibility": 7.0, "rationality": 2.0},
        probabilities={"sensibility": half, "rationality": point(2)},
    )  # fmt: skip

    def write(*judgements: Judgement, distributions: bool) -> pl.DataFrame:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            ledger.record("spec", list(judgements) or [good, Judgement(samples[1].id, "api_error", "j", "r")])
            path = tmp_path / "scores.parquet"
            write_scores(tmp_path / "samples.parquet", ledger, "spec", RUBRIC, path, distributions=distributions)
        return pl.read_parquet(path)

    return write


def test_a_judge_with_distributions_adds_its_columns_and_failures_are_null(table) -> None:
    scores = table(distributions=True)
    assert scores["state"].to_list() == ["ok", "api_error", None]
    assert scores.schema["sensibility_probabilities"] == pl.Array(pl.Float32, 11)
    first = scores.row(0, named=True)
    assert first["sensibility"] == 7
    assert first["sensibility_std"] == pytest.approx(1)
    assert first["rationality_std"] == pytest.approx(0)
    assert (first["p_sensibility"], first["p_rationality"], first["p_discard"]) == pytest.approx((1, 0, 0))
    for name in set(scores.columns) - {"sample_id", "state"}:
        assert scores[name].to_list()[1:] == [None, None]


def test_without_distributions_there_are_only_scores(table) -> None:
    assert table(distributions=False).columns == ["sample_id", "state", "sensibility", "rationality"]
