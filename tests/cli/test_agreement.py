import json

from typer.testing import CliRunner

from efficient_empathy.cli import app

TABLE = "rater,item_id,empathy\n" + "".join(
    f"{rater},item{i},{1 + (i * k) % 5}\n" for k, rater in ((2, "ann"), (2, "bo"), (3, "gpt")) for i in range(30)
)


def call(*arguments):
    return CliRunner().invoke(app, ["agreement", *map(str, arguments)])


def test_one_json_object_and_words_with_the_next_step(tmp_path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    options = [tmp_path / "t.csv", "--people", "ann, bo", "--scale", "1-5", "--resamples", 50, "-o", tmp_path / "out"]
    done = call(*options, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["people"] == ["ann", "bo"]
    assert found["ceiling"][0]["people"]["pairwise"]["exact"]["value"] == 1
    assert (tmp_path / "out" / "agreement.html").exists()
    told = call(*options)
    assert "ann – bo" in told.stdout
    assert "gpt is below the people’s own ceiling" in told.stdout
    assert "Next: open" in told.stdout


def test_a_users_error_is_one_sentence_and_exit_1(tmp_path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    for arguments, said in (
        ([tmp_path / "t.csv", "--people", "cy"], "'cy' is no rater here"),
        ([tmp_path / "t.csv", "--scale", "1-3"], "not on the scale 1–3"),
        ([tmp_path / "t.csv", "--axis", "tone"], "the axis 'tone' cannot be compared"),
        ([f"{tmp_path / 't.csv'}#ann"], "ann is the only rater"),
        ([tmp_path / "nowhere.csv"], "is not there"),
    ):
        done = call(*arguments, "-o", tmp_path / "out")
        assert done.exit_code == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert call("-o", tmp_path / "out").exit_code == 2
