from efficient_empathy.evaluation.ratings.layout import layout_of


def test_the_columns_of_each_task() -> None:
    assert layout_of("likert", ["better"]).columns == (
        "item", "context", "response", "coherence", "empathy", "informativeness", "continuity", "comment"
    )  # fmt: skip
    assert layout_of("ab", ["better"]).columns == ("item", "context", "left", "right", "better", "comment")
    assert layout_of("likert", []).allowed == ("1", "2", "3", "4", "5")
    assert layout_of("ab", []).allowed == ("left", "tie", "right")
