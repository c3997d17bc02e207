import gzip
import io
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.console import Console

from awkward_texts import AWKWARD_TEXTS
from efficient_empathy.evaluation import stage as evaluated_files
from efficient_empathy.evaluation.comparison import Contestant, compare
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.pairs import read_pairs
from efficient_empathy.evaluation.record import EvaluationRecord
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.evaluation.stage import evaluate, evaluate_files, stream
from efficient_empathy.foundation.errors import UserError
from evaluated_runs import answered_run, costed_run
from trained_runs import write_training

QUICK = EvaluationSettings(metrics=("official",), resamples=300)


def quiet():
    return Console(file=io.StringIO(), width=200)


def do(workspace, settings=QUICK, **options):
    return evaluate(workspace, settings, console=quiet(), **options)


def test_a_run_is_compared_and_its_evaluation_written(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    result = do(workspace, QUICK.model_copy(update={"resamples": 3000}))
    written = json.loads(workspace.evaluation.read_text())
    assert EvaluationRecord.read(workspace.evaluation) == result.record
    assert (result.path, result.skipped) == (str(workspace.evaluation), False)
    assert {"version", "n", "part", "dialogues", "baseline", "resamples", "seed", "confidence", "metrics", "about",
            "references",
            "models", "tests", "notes", "examples"} == set(written)  # fmt: skip
    assert (written["n"], written["part"], written["dialogues"], written["baseline"]) == (60, "test", 30, "base")
    assert [m["name"] for m in written["models"]] == ["base", "sensibility", "rationality", "average", "moe"]
    moe = written["models"][-1]
    assert (moe["label"], moe["share_of_data"], moe["training"]["tokens"]) == ("MoE, routers trained", 0.75, 4000)
    assert set(moe["values"]) == set(moe["intervals"]) == set(written["metrics"])
    won = [t["metric"] for t in written["tests"] if t["model"] == "moe" and t["p_holm"] < 0.05 and t["difference"] > 0]
    assert "bleu1" in won
    example = written["examples"][0]
    assert set(example["responses"]) == {"base", "sensibility", "rationality", "average", "moe"}
    assert example["context"][0]["role"] == "speaker"
    assert len(written["examples"]) == 6


def test_it_is_done_once_and_again_when_something_changed(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    first = do(workspace)
    before = workspace.evaluation.read_bytes()
    assert do(workspace) == first.model_copy(update={"skipped": True})
    workspace.evaluation.write_bytes(before[:-40] + b"}")
    assert not do(workspace).skipped
    assert workspace.evaluation.read_bytes() == before
    assert not do(workspace, force=True).skipped
    assert workspace.evaluation.read_bytes() == before
    assert not do(workspace, QUICK.model_copy(update={"seed": 1})).skipped
    do(workspace)
    write_training(workspace, "sensibility", samples=14)
    assert do(workspace).models[1].share_of_data == pytest.approx(0.25)
    path = workspace.generations / "moe.parquet"
    pl.read_parquet(path).with_columns(response=pl.lit("Yes.")).write_parquet(path)
    assert not do(workspace).skipped
    workspace.evaluation.unlink()
    assert not do(workspace).skipped


def test_a_single_model_has_no_tests_and_no_examples(tmp_path) -> None:
    result = do(answered_run(tmp_path), QUICK.model_copy(update={"models": ("moe",)}))
    assert (result.tests, result.examples, len(result.models)) == ((), (), 1)


def test_models_that_answered_different_samples_are_refused(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    path = workspace.generations / "moe.parquet"
    pl.read_parquet(path).head(20).write_parquet(path)
    with pytest.raises(UserError, match=r"base has 60 rows and moe 20: .*Dist-n fall as N grows"):
        do(workspace)
    assert do(workspace, QUICK.model_copy(update={"models": ("base", "sensibility")})).n == 60


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="there is no metric 'blue': choose one of official"):
        EvaluationSettings(metrics=("official", "blue"))
    with pytest.raises(ValueError, match="choose at least one"):
        EvaluationSettings(metrics=())
    options = EvaluationSettings(max_length=99, judge={"model": "gpt-4o"}).options()
    assert (options.max_length, options.judge) == (99, {"model": "gpt-4o"})


REFERENCES = ["oh no that sounds hard .", "how lovely !", "did you find them ?", "what would help ?"] * 5
QUICK_files = EvaluationSettings(metrics=("official",), resamples=0)


@pytest.fixture
def files(tmp_path):
    contents = {
        "references.txt": REFERENCES,
        "ours.txt": [" ".join(text.split()[:3]) for text in REFERENCES],
        "theirs.txt": ["i see ."] * 19 + [""],
    }
    for name, lines in contents.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


def do_files(files, *predictions, references="references.txt", settings=QUICK_files, **options):
    where = files / references if references else None
    named = [f"{files}/{p}" if "=" not in p else p.replace("=", f"={files}/") for p in predictions]
    return evaluate_files(named, where, settings, console=Console(file=io.StringIO()), **options)


def test_one_file_is_measured(files) -> None:
    result = do_files(files, "ours.txt")
    (model,) = result.models
    assert (result.n, result.dialogues, model.name) == (20, 20, "ours")
    assert model.values["bleu1"] > 50
    assert result.examples == ()


def test_it_is_the_same_in_one_file_as_in_two(files) -> None:
    said = (files / "ours.txt").read_text().splitlines()
    lines = [json.dumps({"prediction": p, "reference": r}) for p, r in zip(said, REFERENCES, strict=True)]
    (files / "both.jsonl").write_text("\n".join(lines))
    assert (
        do_files(files, "both.jsonl", references=None).models[0].values == do_files(files, "ours.txt").models[0].values
    )


def test_several_files_are_compared_and_named(files) -> None:
    result = do_files(files, "ours.txt", "mime=theirs.txt", settings=QUICK_files.model_copy(update={"resamples": 1000}))
    assert [model.name for model in result.models] == ["ours", "mime"]
    assert result.baseline == "ours"
    assert any(test.model == "mime" and test.difference < 0 and test.p_holm < 0.05 for test in result.tests)
    assert set(result.examples[0].responses) == {"ours", "mime"}


def test_a_single_system_is_only_measured_unless_resamples_are_asked_for(files) -> None:
    unset = EvaluationSettings(metrics=("official",))
    assert do_files(files, "ours.txt", settings=unset).models[0].intervals == {}
    asked = EvaluationSettings(metrics=("official",), resamples=100)
    assert len(do_files(files, "ours.txt", settings=asked).models[0].intervals) == 10
    assert do_files(files, "ours.txt", "theirs.txt", settings=unset).resamples == 10_000


def test_two_files_of_one_name_must_be_named(files) -> None:
    (files / "again").mkdir()
    (files / "again" / "ours.txt").write_text((files / "ours.txt").read_text())
    with pytest.raises(UserError, match=r"two files are called 'ours': name them, --predictions NAME=FILE"):
        do_files(files, "ours.txt", "again/ours.txt")
    assert len(do_files(files, "ours.txt", "other=again/ours.txt").models) == 2


def test_a_file_whose_name_has_an_equals_sign_is_a_file(files) -> None:
    (files / "a=b.txt").write_text((files / "ours.txt").read_text())
    result = evaluate_files([files / "a=b.txt"], files / "references.txt", QUICK_files)
    assert result.models[0].name == "a=b"


def test_a_metric_of_the_model_itself_cannot_be_had(files) -> None:
    with pytest.raises(UserError, match=r"perplexity needs the models themselves, and only responses are here"):
        do_files(files, "ours.txt", settings=QUICK_files.model_copy(update={"metrics": ("perplexity",)}))


def test_a_file_of_several_systems_brings_them_all_or_the_one_that_is_named(files) -> None:
    rows = [{"reference": r, "outputs": {"x": r, "y": "i see ."}} for r in REFERENCES]
    (files / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [m.name for m in do_files(files, "all.jsonl", references=None).models] == ["x", "y"]
    assert [m.name for m in do_files(files, "y=all.jsonl", references=None).models] == ["y"]
    picked = do_files(files, "all.jsonl", "ours.txt", settings=QUICK_files.model_copy(update={"models": ("ours", "x")}))
    assert [m.name for m in picked.models] == ["ours", "x"]
    with pytest.raises(UserError, match=r"has no outputs of 'z': it has x, y"):
        do_files(files, "z=all.jsonl", references=None)


TEXTS = AWKWARD_TEXTS.map(lambda text: text.replace("\0", ""))
METRICS = choose(["official", "texts"])


def whole(predictions, references):
    return compare([Contestant("ours", "ours", read_pairs(predictions, references))], METRICS, resamples=0)


def lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


@hypothesis_settings(deadline=None, max_examples=40)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12), at_once=st.integers(1, 5))
def test_figures_are_those_of_reading_it_whole(tmp_path_factory, rows, at_once) -> None:
    folder = tmp_path_factory.mktemp("streamed")
    ours = lines(folder / "ours.jsonl", [{"text": prediction} for prediction, _ in rows])
    theirs = lines(folder / "theirs.jsonl", [{"text": reference} for _, reference in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluated_files, "_AT_ONCE", at_once)
        found = stream("ours", ours, theirs, METRICS)
    expected = whole(ours, theirs)
    for key in ("n", "dialogues", "metrics", "about"):
        assert getattr(found, key) == getattr(expected, key)
    assert found.models[0].values == pytest.approx(expected.models[0].values, abs=2e-6)


def test_one_file_with_both_and_a_compressed_one(tmp_path) -> None:
    both = lines(tmp_path / "both.jsonl", [{"prediction": "oh no", "reference": "oh dear"}] * 3)
    (tmp_path / "both.jsonl.gz").write_bytes(gzip.compress(both.read_bytes()))
    assert stream("ours", both, None, METRICS).models[0].values["bleu1"] == 50
    assert stream("ours", tmp_path / "both.jsonl.gz", None, METRICS).n == 3


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
