from efficient_empathy.evaluation.ratings.questions import DIMENSIONS, comparing, instructions


def test_raters_read_every_question_that_they_are_asked_and_no_other() -> None:
    both = "\n".join(instructions(("likert", "ab"), comparing(False)))
    assert all(f"{one.name}: {one.text} 1 = {one.low}; 5 = {one.high}." in both for one in DIMENSIONS)
    assert "better: Which of the two" in both
    assert "Write left, right, or tie" in both
    ratings = "\n".join(instructions(("likert",), ()))
    assert "left" not in ratings
    compared = "\n".join(instructions(("ab",), comparing(True)))
    assert "1 to 5" not in compared
    assert [one.name for one in comparing(True)] == [one.name for one in DIMENSIONS]
    assert "empathy: Which of the two shows more understanding" in compared
