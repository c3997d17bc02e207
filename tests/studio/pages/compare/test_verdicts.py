from __future__ import annotations

from typing import Any

import pytest

from efficient_empathy.studio.pages.compare.verdicts import by_chance, verdict


def figures(kappa: tuple[float | None, float | None], *, shift: float = 0.0, whole: bool = True) -> dict[str, Any]:
    values = {"exact": 0.25, "within_one": 0.5, "mean_shift": shift}
    told = {name: {"value": value, "low": None, "high": None} for name, value in values.items()}
    return {**told, "kappa_quadratic": {"value": kappa[0], "low": kappa[1], "high": None}, "whole": whole}


@pytest.mark.parametrize(
    ("kappa", "words"),
    [
        ((0.05, -0.02), "agree no more than chance would make them (κ 0.05)"),
        ((-0.3, None), "agree no more than chance would make them (κ −0.30)"),
        ((0.05, 0.01), "agree hardly more than by chance"),
        ((0.3, 0.2), "agree weakly"),
        ((0.9, 0.8), "nearly always agree"),
        ((None, None), "cannot be told from chance"),
    ],
)
def test_agreement_is_said_in_words(kappa: tuple[float | None, float | None], words: str) -> None:
    assert f"On warmth, a and b {words}" in verdict("warmth", "a", "b", figures(kappa))
    assert by_chance(figures(kappa)["kappa_quadratic"]) == ("no more than chance" in words)


def test_the_distance_is_said_of_whole_scores_and_of_others() -> None:
    said = verdict("warmth", "a", "b", figures((0.5, 0.4), shift=-0.4))
    distance = said.partition(": ")[2].replace("\u202f", " ")
    assert distance == (
        "the same score for 25.0 % of the samples, scores within one point for 50.0 %, and b is 0.40 lower on average."
    )
    assert "the same score" not in verdict("warmth", "a", "b", figures((0.5, 0.4), whole=False))
    assert verdict("warmth", "a", "b", figures((0.5, 0.4))).endswith("and b is as high on average.")
