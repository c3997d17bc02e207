from efficient_empathy.evaluation.ratings import RatingsRecord, results_summary, sheets_summary
from efficient_empathy.evaluation.ratings.stage import SheetsResult

MADE = SheetsResult(
    study="main",
    files=("out/ann.xlsx",),
    key="runs/r/ratings/main/key.json",
    raters=("ann",),
    models=("moe", "base"),
    samples=5,
    overlap=1,
    items={"likert": 10},
    repeats={"likert": 1},
    tasks={"ann": 11},
    identical=3,
    left_out=2,
)


def test_what_is_not_asked_is_told_with_the_files() -> None:
    told = sheets_summary(MADE)
    assert "3 comparisons of identical responses are not asked: they are ties" in told
    assert "2 samples are left out: not every model responded to them" in told
    assert "  out/ann.xlsx\nHand out those files alone; the key stays here: runs/r/ratings/main/key.json" in told


def test_undefined_numbers_are_told_as_such_and_problems_stand_last() -> None:
    intervals = {"fleiss_kappa": [None, None], "weighted_kappa": [0.25, 0.75], "alpha_ordinal": [None, None]}
    agreement = {"fleiss_kappa": None, "weighted_kappa": 0.5, "alpha_ordinal": -0.25}
    agreement |= {"raters": 2, "items": 3, "intervals": intervals}
    found = {
        "study": "main", "sheets": ["a.xlsx"], "samples": 3,
        "confidence": 0.95, "ab": [], "ab_agreement": {}, "ranking": [],
        "raters": [{"name": "ann", "rated_items": 3, "item_count": 4, "self_consistency": None}],
        "likert": {"empathy": {"text": "?", "scale": [1, 5],
                               "models": [{"name": "moe", "mean": 4.5, "interval": [None, None], "n": 3}],
                               "agreement": agreement}},
        "problems": ["ann left 1 of 4 items without an answer"],
    }  # fmt: skip
    told = results_summary(RatingsRecord(**found))
    assert "  ann: 3 of 4 items\n" in told
    assert "  moe: 4.50, 3 ratings" in told
    assert "Fleiss' κ undefined, weighted κ 0.50 [0.25, 0.75], α ordinal -0.25" in told
    assert told.endswith("! ann left 1 of 4 items without an answer")
