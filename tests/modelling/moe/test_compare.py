import re

import numpy as np
import polars as pl
import pytest

from efficient_empathy.modelling.moe import compare
from efficient_empathy.modelling.moe.compare import Contender, comparison

SIZES = {"parameters": 100, "active_parameters": 100, "bytes": 400}


@pytest.fixture(autouse=True)
def sized(monkeypatch):
    monkeypatch.setattr(compare, "sizes", lambda path: SIZES if path != "moe" else {k: 2 * v for k, v in SIZES.items()})


def rows(dialogues=60, turns=3):
    ids = [(f"s{d}-{t}", f"d{d}") for d in range(dialogues) for t in range(turns)]
    return pl.DataFrame(ids, schema=["sample_id", "dialogue_id"], orient="row")


def compared(losses, *, groups=None, resamples=400, seed=0, spread=0.0, tokens=10, unrounded=None):
    """A comparison of models with the mean losses `losses`; every dialogue is hard or easy for all of them alike.

    `unrounded` has what some of them lost by being rounded.
    """
    table, rng = rows(), np.random.default_rng(1)
    hard = np.repeat(rng.normal(0, 1, 60), 3)
    measured = {}
    for name, loss in losses.items():
        own = rng.normal(0, spread, len(table))
        nll = tokens * (loss + hard + own)
        measured[name] = table.select("sample_id", tokens=pl.lit(tokens), nll=pl.Series(nll))
    contenders = [Contender(name, f"The {name}", name, name) for name in losses]
    lost = unrounded or {}
    exact = {name: measured[name].with_columns(pl.col("nll") - tokens * cost) for name, cost in lost.items()}
    options = {"unrounded": exact, "resamples": resamples, "seed": seed}
    return comparison(contenders, measured, groups or {"all": table}, **options).model_dump(mode="json")


def test_a_clear_win_is_told_with_what_it_costs() -> None:
    result = compared({"base": 4.0, "average": 3.0, "moe": 2.9})
    verdict = result["verdict"]
    assert verdict["moe_beats_average"]
    assert verdict["best"] == "moe"
    low, high = verdict["interval"]
    assert high < 0
    assert [low, high, verdict["difference"]] == pytest.approx([-0.1] * 3)
    assert "has a lower held-out loss" in verdict["text"]
    assert "2.00 × the active parameters and 2.00 × the bytes." in verdict["text"]


def test_what_storing_takes_from_an_expert_is_told_where_it_is_a_tenth_of_what_it_learnt() -> None:
    losses = {"base": 4.0, "a": 3.9, "b": 3.5, "average": 3.6, "moe": 3.6}
    result = compared(losses, unrounded={"a": 0.05, "b": 0.05})
    assert {m["name"]: m["rounding"] and m["rounding"]["all"] for m in result["models"]} == pytest.approx(
        {"base": None, "a": 0.05, "b": 0.05, "average": None, "moe": None}
    )
    assert result["notes"] == [
        "Rounding takes 33% of what The a has learnt (0.0500 of 0.1500 nats on all): --dtype fp32 keeps it; a higher "
        "--learning-rate or more --epochs makes it less."
    ]


@pytest.mark.parametrize(("moe", "said"), [(3.1, "has a higher held-out loss"), (3.0001, "cannot be told from")])
def test_without_a_win_it_says_so_and_what_the_mixture_costs(moe, said) -> None:
    verdict = compared({"base": 4.0, "average": 3.0, "moe": moe}, spread=0.02 if moe < 3.01 else 0.0)["verdict"]
    assert not verdict["moe_beats_average"]
    assert said in verdict["text"]
    assert "the average does as well, and the mixture costs 2.00 ×" in verdict["text"]


def test_a_better_model_beside_them_is_named() -> None:
    result = compared({"base": 4.0, "union": 2.5, "average": 3.0, "moe": 2.9})
    verdict, (union, average, moe) = result["verdict"], (model["loss"]["all"] for model in result["models"][1:])
    assert verdict["best"] == "union"
    assert verdict["moe_beats_average"]
    lead, meaning, rest = verdict["text"].split(". ", 2)
    assert lead == f"The union has the lowest held-out loss of all 4 models: {union:.3f} nats a token"
    assert meaning.startswith(f"It beats the mixture ({moe:.3f}) and the average ({average:.3f}): here neither mixing")
    assert rest.startswith(f"The mixture has a lower held-out loss than the experts' plain average: {moe:.3f} against")


def test_a_ties_merge_that_is_best_costs_no_more_than_the_average() -> None:
    text = compared({"base": 4.0, "average": 3.0, "ties": 2.8, "moe": 2.9})["verdict"]["text"]
    assert text.startswith("The ties has the lowest held-out loss of all 4 models: ")
    assert ", and costs no more to serve than the average. The mixture has a lower" in text


@pytest.mark.parametrize(
    ("losses", "means"),
    [
        ((2.9, 4.0, 2.9), "The union has the lowest .*It beats the average .*, and cannot be told from the mixture"),
        ((2.9, 2.9, 4.0), "The union has the lowest .*It beats the mixture .*, and cannot be told from the average"),
        ((2.9, 2.9, 2.9), "The union has the lowest .*It can be told neither from the mixture .* nor from the average"),
        (
            (3.15, 4.0, 2.9),
            "The moe has the lowest .* nats a token; The union cannot be told from it. The mixture has a low",
        ),
    ],
)
def test_a_lead_that_is_within_chance_is_told_as_one(losses, means) -> None:
    verdict = compared(dict(zip(("union", "average", "moe"), losses, strict=True)), spread=1.0)["verdict"]
    assert re.search(means, verdict["text"])
    assert len(verdict["text"]) < 600


def test_losses_are_weighted_by_tokens_and_told_by_group() -> None:
    table = pl.DataFrame({"sample_id": ["a", "b", "c"], "dialogue_id": ["x", "x", "y"]})
    nll = pl.DataFrame({"sample_id": ["a", "b", "c"], "tokens": [1, 3, 6], "nll": [2.0, 3.0, 24.0]})
    measured = dict.fromkeys(("average", "moe"), nll)
    groups = {"first": table[:2], "second": table[2:], "none": table.clear(), "all": table}
    contenders = [Contender(name, name, name, name) for name in measured]
    result = comparison(contenders, measured, groups, resamples=100).model_dump(mode="json")
    assert result["subsets"] == {
        "first": {"samples": 2, "tokens": 4},
        "second": {"samples": 1, "tokens": 6},
        "all": {"samples": 3, "tokens": 10},
    }
    assert result["models"][0]["loss"] == {"first": 1.25, "second": 4.0, "all": 2.9}
    assert result["verdict"]["interval"] == [0.0, 0.0]


def test_the_paired_interval_is_narrower_than_the_models_own_and_covers() -> None:
    result = compared({"average": 3.0, "moe": 2.99}, spread=0.01)
    own = np.diff(result["models"][0]["interval"]["all"])[0]
    paired = np.diff(result["verdict"]["interval"])[0]
    assert paired < own / 20


def test_intervals_draw_dialogues_not_replies() -> None:
    """60 dialogues of 3 replies that are alike within a dialogue: the mean's error is that of 60, not of 180."""
    result = compared({"average": 3.0, "moe": 3.0}, resamples=2000)
    low, high = result["models"][0]["interval"]["all"]
    hard = np.random.default_rng(1).normal(0, 1, 60)
    expected = 2 * 1.96 * hard.std() / np.sqrt(60)
    assert high - low == pytest.approx(expected, rel=0.1)


def test_the_same_seed_gives_the_same_intervals() -> None:
    losses = {"average": 3.0, "moe": 2.99}
    assert compared(losses, seed=3) == compared(losses, seed=3)
    assert compared(losses, seed=3) != compared(losses, seed=4)
