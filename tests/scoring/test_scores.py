import polars as pl
import pytest

from efficient_empathy.dialogues import write_samples
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.ledger import write_part
from efficient_empathy.scoring.panel import Panel, Pool
from efficient_empathy.scoring.scores import write_scores
from judge_specs import spec_of
from samples import make_samples

RUBRIC = Rubric.load()


def point(value: int) -> list[float]:
    return [float(i == value) for i in range(11)]


@pytest.fixture
def table(tmp_path):
    """Three samples: one judged with distributions, one failed, one not judged yet; another judge has the first two."""
    samples = make_samples(3)
    write_samples(samples, tmp_path / "samples.parquet")
    half = [0.5 * (a + b) for a, b in zip(point(6), point(8), strict=True)]
    good = Judgement(
        samples[0].id, "ok", "j", "r", {"sensibility": 7.0, "rationality": 2.0},
        probabilities={"sensibility": half, "rationality": point(2)}, dependence=(-0.25,),
    )  # fmt: skip

    def write(*judgements: Judgement, pool: Pool | None = None) -> pl.DataFrame:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            ledger.record(spec_of("a"), [*judgements] or [good, Judgement(samples[1].id, "api_error", "j", "r")])
            other = {"sensibility": 4.0, "rationality": 4.0}
            ledger.record(spec_of("b"), [Judgement(s.id, "ok", "other", "r", other) for s in samples[:2]])
            panel = Panel.of(map(spec_of, "ab"), pool) if pool else Panel.of([spec_of("a")])
            write_scores(tmp_path / "samples.parquet", ledger, panel, RUBRIC, tmp_path / "scores.parquet")
        return pl.read_parquet(tmp_path / "scores.parquet")

    write.first = samples[0].id
    return write


def test_a_judge_with_distributions_adds_its_columns_and_failures_are_null(table) -> None:
    scores = table()
    assert scores["state"].to_list() == ["ok", "api_error", None]
    assert scores.schema["sensibility_probabilities"] == pl.Array(pl.Float32, 11)
    first = scores.row(0, named=True)
    assert first["sensibility"] == 7
    assert first["sensibility_std"] == pytest.approx(1)
    assert first["rationality_std"] == pytest.approx(0)
    assert first["dependence"] == pytest.approx([-0.25])
    assert not [name for name in scores.columns if name.startswith("p_")]
    for name in set(scores.columns) - {"sample_id", "state"}:
        assert scores[name].to_list()[1:] == [None, None]


def test_without_distributions_there_are_only_scores(table) -> None:
    plain = Judgement(table.first, "ok", "j", "r", {"sensibility": 7.0, "rationality": 2.0})
    assert table(plain).columns == ["sample_id", "state", "sensibility", "rationality"]


def test_pooled_scores_tell_how_many_there_were_and_how_far_apart_and_have_no_distributions(table) -> None:
    scores = table(pool="mean")
    added = ["sensibility_std", "rationality_std", "judgements", "disagreement"]
    assert scores.columns == ["sample_id", "state", "sensibility", "rationality", *added]
    assert scores["state"].to_list() == ["ok", "ok", None]
    assert scores["sensibility"].to_list() == [5.5, 4.0, None]
    assert scores["judgements"].to_list() == [2, 1, 0]
    assert scores["disagreement"].to_list() == [3.0, None, None]
    assert scores["rationality_std"].to_list() == [1.0, None, None]


def test_the_first_answer_keeps_its_distribution_and_says_whose_it_is(table) -> None:
    scores = table(pool="first")
    assert scores["answered_by"].to_list() == ["j", "other", None]
    assert scores["sensibility"].to_list() == [7.0, 4.0, None]
    assert scores["sensibility_probabilities"].is_null().to_list() == [False, True, True]


def test_whichever_store_has_the_judgements_the_scores_are_the_same(tmp_path) -> None:
    samples = make_samples(6)
    write_samples(samples, tmp_path / "samples.parquet")
    spec, failure = spec_of("a"), Judgement(samples[4].id, "refused", "j", "r")
    table = {"rationality": point(2), "sensibility": point(9)}  # in another order than the rubric's
    judged = [
        Judgement(
            one.id, "ok", "j", "r", {"rationality": 2.0, "sensibility": 9.25}, probabilities=table if i != 1 else {}
        )
        for i, one in enumerate(samples[:4])
    ]
    rows = [Judgement(samples[1].id, "api_error", "j", "r"), *judged, failure]
    frames = []
    for parts in (0, 3, len(rows)):
        with Ledger(tmp_path / f"{parts}.sqlite") as ledger:
            for at in range(0, parts, 2):
                write_part(ledger.parts_folder, spec, rows[at : at + 2][: parts - at])
            ledger.adopt()
            ledger.record(spec, rows[parts:])
            write_scores(tmp_path / "samples.parquet", ledger, Panel.of([spec]), RUBRIC, tmp_path / "scores.parquet")
        frames.append(pl.read_parquet(tmp_path / "scores.parquet"))
    assert frames[0]["state"].to_list() == ["ok"] * 4 + ["refused", None]
    assert frames[0]["sensibility"].to_list() == [9.25] * 4 + [None] * 2
    assert frames[0]["sensibility_probabilities"].is_null().to_list() == [False, True, False, False, True, True]
    assert frames[1].equals(frames[0])
    assert frames[2].equals(frames[0])


def axes(*scales: tuple[int, int]) -> Rubric:
    names = ("warmth", "clarity", "depth")
    result = [{"name": names[i], "scale": scale, "description": "."} for i, scale in enumerate(scales)]
    return Rubric.model_validate({**RUBRIC.model_dump(), "axes": result})


def test_any_number_of_axes_on_any_scales_has_a_dependence_for_each_pair(tmp_path) -> None:
    samples = make_samples(2)
    write_samples(samples, tmp_path / "samples.parquet")
    for number, scales in enumerate(([(1, 5)], [(0, 3), (1, 5), (2, 4)])):
        rubric = axes(*scales)
        names = rubric.axis_names
        even = {a.name: [1 / len(a.values)] * len(a.values) for a in rubric.axes}
        means = {a.name: sum(a.scale) / 2 for a in rubric.axes}
        content = (0.1, -0.2, 0.3)[: len(names) * (len(names) - 1) // 2]
        with Ledger(tmp_path / f"{number}.sqlite") as ledger:
            judged = Judgement(samples[0].id, "ok", "j", "r", means, probabilities=even, dependence=content)
            ledger.record(spec_of("a"), [judged, Judgement(samples[1].id, "ok", "j", "r", means, probabilities=even)])
            assert ledger.latest(spec_of("a"), [samples[0].id])[samples[0].id].dependence == content
            write_scores(
                tmp_path / "samples.parquet", ledger, Panel.of([spec_of("a")]), rubric, tmp_path / "scores.parquet"
            )
        scores = pl.read_parquet(tmp_path / "scores.parquet")
        assert [scores.schema[f"{a.name}_probabilities"].shape for a in rubric.axes] == [
            (len(a.values),) for a in rubric.axes
        ]
        if not content:
            assert "dependence" not in scores.columns
        else:
            assert scores.schema["dependence"] == pl.Array(pl.Float32, 3)
            assert scores["dependence"].to_list() == [pytest.approx(list(content)), [0.0, 0.0, 0.0]]
