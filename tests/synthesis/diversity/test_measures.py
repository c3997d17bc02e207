import sys

import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.synthesis.diversity import DiversityRecord, diversity_table, k_center, measure_diversity
from efficient_empathy.synthesis.diversity.measures import mean_distance
from plain_diversity import unit_rows


def planted(copies: int = 60) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ten subjects of four samples each, and one sample that is there again and again."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(rng.normal(size=(10, 16)), 4, axis=0)
    rows = unit_rows(np.vstack([subjects + 0.3 * rng.normal(size=subjects.shape), np.repeat(subjects[:1], copies, 0)]))
    texts = [f"word{place} is what i say of word{place // 4}" for place in range(40)] + [
        "word0 is what i say of word0"
    ] * copies
    return texts, rows, rng.permutation(len(rows)).astype(np.uint64)


def record_of(size: int) -> DiversityRecord:
    texts, rows, ties = planted()
    picks = k_center(rows, size, ties)
    return measure_diversity(
        texts, rows, picks.order, ties, method="k_center", encoder="abc", real=3, radius=picks.radius
    )


def test_picks_are_more_diverse_than_all_and_than_a_random_subset() -> None:
    record = record_of(30)
    for other in (record.all, record.random):
        assert record.kept.distance > other.distance + 0.1
        assert record.kept.covered == record.clusters == 15
        assert record.kept.self_bleu < other.self_bleu - 5
        assert record.kept.distinct1 > other.distinct1
        assert record.kept.distinct2 > other.distinct2
    assert record.random.covered < 12
    assert (record.all.samples, record.kept.samples, record.random.samples, record.texts) == (100, 30, 30, 30)


def test_the_record_is_read_as_it_was_written(tmp_path) -> None:
    record = record_of(30)
    record.write(tmp_path / "diversity.json")
    assert DiversityRecord.read(tmp_path / "diversity.json") == record
    (tmp_path / "diversity.json").write_text('{"version": 1}')
    with pytest.raises(UserError, match="run `efficient-empathy synthesize` to make it again"):
        DiversityRecord.read(tmp_path / "diversity.json")


def test_the_table_has_a_line_for_each_set() -> None:
    lines = diversity_table(record_of(30))
    assert [line.split()[0] for line in lines] == ["samples", "all", "kept", "random"]
    assert "15/15" in lines[2]
    assert len({len(line) for line in lines}) == 1


def test_the_figures_do_not_depend_on_the_order_of_the_file() -> None:
    texts, rows, ties = planted(copies=0)
    shuffled = np.random.default_rng(5).permutation(len(rows))
    kept = k_center(rows, 12, ties).order
    one = measure_diversity(texts, rows, kept, ties, method="k_center", encoder="abc")
    other = measure_diversity(
        [texts[place] for place in shuffled],
        rows[shuffled],
        k_center(rows[shuffled], 12, ties[shuffled]).order,
        ties[shuffled],
        method="k_center",
        encoder="abc",
    )
    assert one == other


def test_without_sacrebleu_the_other_figures_are_there(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    record = record_of(30)
    assert record.kept.self_bleu is None
    assert 'pip install "efficient-empathy[eval]"' in record.self_bleu
    assert record.kept.distinct1 > 0
    assert "–" in diversity_table(record)[2]


@pytest.mark.parametrize("size", [1, 2])
def test_one_or_two_samples_can_be_measured(size) -> None:
    texts, rows, ties = planted(copies=0)
    record = measure_diversity(
        texts[:2], rows[:2], np.arange(size), ties[:2], method="facility_location", encoder="abc"
    )
    assert (record.kept.distance is None, record.clusters, record.radius) == (size == 1, 1, None)
    assert record.all.distance == pytest.approx(1 - float(rows[0] @ rows[1]), abs=1e-6)


def test_the_mean_distance_is_that_of_all_pairs() -> None:
    rows = unit_rows(np.random.default_rng(2).normal(size=(50, 7)))
    pairs = (1 - rows @ rows.T)[~np.eye(50, dtype=bool)]
    assert mean_distance(rows) == pytest.approx(pairs.mean(), abs=1e-6)
