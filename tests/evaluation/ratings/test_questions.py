import pytest

from efficient_empathy.evaluation.ratings.questions import (
    BUNDLED,
    Questionnaire,
    ScaleQuestion,
    load_questionnaire,
    parse_questionnaire,
    sheet_instructions,
)
from efficient_empathy.foundation.errors import UserError


def test_raters_read_every_question_that_they_are_asked_and_no_other() -> None:
    paper = load_questionnaire()
    both = "\n".join(sheet_instructions(paper))
    assert all(f"{one.name}: {one.text} 1 to 5: 1 = {one.low}; 5 = {one.high}." in both for one in paper.ratings)
    assert "better: Which of the two" in both
    assert "Write left, right, or tie" in both
    ratings = "\n".join(sheet_instructions(paper.only(comparisons=False)))
    assert "left and right" not in ratings
    compared = "\n".join(sheet_instructions(load_questionnaire("by-dimension").only(ratings=False)))
    assert "1 to 5" not in compared
    assert "empathy: Which of the two shows more understanding" in compared


def test_the_bundled_ones_ask_what_the_paper_asks() -> None:
    paper, by_dimension = map(load_questionnaire, BUNDLED)
    assert [one.name for one in paper.ratings] == ["coherence", "empathy", "informativeness", "continuity"]
    assert {one.scale for one in paper.ratings} == {(1, 5)}
    assert paper.ratings == by_dimension.ratings
    assert [one.name for one in paper.comparisons] == ["better"]
    assert [one.name for one in by_dimension.comparisons] == [one.name for one in paper.ratings]


@pytest.mark.parametrize("name", BUNDLED)
def test_one_that_is_written_is_read_as_it_was(tmp_path, name) -> None:
    asked = load_questionnaire(name).model_copy(update={"instructions": "Bitte lies: genau.\n\nDanke für alles."})
    path = tmp_path / "own.yaml"
    path.write_text(asked.yaml_text(), "utf-8")
    assert load_questionnaire(path) == asked
    assert asked.paragraphs() == ["Bitte lies: genau.", "Danke für alles."]


WARMTH = "ratings: [{name: warmth, text: How warm, scale: [0, 10]}]"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ratings: [{name: warmth}]", r"ratings\.0\.text: Field required"),
        (
            WARMTH.replace("[0, 10]", "[5, 1]"),
            r"ratings\.0\.scale: it cannot go from 5 to 1: take whole numbers from 0",
        ),
        (WARMTH.replace("[0, 10]", "[0, 11]"), r"ratings\.0\.scale: it cannot go from 0 to 11"),
        (WARMTH.replace("warmth", "Left"), r"ratings\.0\.name: sheets have a column Left already"),
        (WARMTH.replace("warmth", "=SUM"), r"ratings\.0\.name: it cannot be called '=SUM'"),
        (WARMTH.replace("]}]", "]}, {name: Warmth, text: Again}]"), "ratings has two questions called warmth"),
        ("name: nothing", "it asks nothing"),
        ("question: []", "question is no key: did you mean"),
        ("a: b: c", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(tmp_path, text, fault) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=rf"own\.yaml.*{fault}"):
        load_questionnaire(path)
    with pytest.raises(UserError, match="the questionnaire"):
        parse_questionnaire(text)


def test_a_name_that_is_none_says_which_there_are(tmp_path) -> None:
    with pytest.raises(UserError, match="no questionnaire 'papr': give a YAML file or one of paper, by-dimension"):
        load_questionnaire("papr")
    with pytest.raises(UserError, match=r"gone\.yaml"):
        load_questionnaire(tmp_path / "gone.yaml")


def test_one_kind_of_question_can_be_left_out_but_not_both() -> None:
    asked = Questionnaire(ratings=(ScaleQuestion(name="warmth", text="How warm?", scale=(1, 7)),))
    assert asked.tasks == ("likert",)
    assert asked.ratings[0].choices == ("1", "2", "3", "4", "5", "6", "7")
    assert asked.only(comparisons=False) == asked
    with pytest.raises(UserError, match="nothing is asked"):
        asked.only(ratings=False)
