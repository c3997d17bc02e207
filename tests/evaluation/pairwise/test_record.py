import io

from rich.console import Console

import misbehaviours as does
from efficient_empathy.evaluation.pairwise import pairwise
from efficient_empathy.evaluation.pairwise.settings import PairwiseSettings
from misbehaving_server import MisbehavingServer
from two_models import LONGER, prefers, run_of_two


def told(tmp_path, script, a: list[str | None], b: list[str | None], **options) -> str:
    workspace = run_of_two(tmp_path / "run", a, b)
    with MisbehavingServer(script) as server:
        judge = {"model": "gpt-4o", "base_url": server.url, **options}
        result = pairwise(
            workspace,
            "moe",
            "base",
            options=judge,
            settings=PairwiseSettings(resamples=100),
            console=Console(file=io.StringIO()),
        )
    return result.summary()


def test_the_outcome_the_rates_and_what_it_cost(tmp_path) -> None:
    said = told(tmp_path, LONGER, ["longer 1", "longer 2", "same"], ["a", "b", "same"])
    assert "moe against base, by gpt-4o: 2 wins, 1 ties, 0 losses." in said
    assert "1 are the same text twice" in said
    assert "win rate 0.833 [" in said
    assert "first wins 0.500 [0.500, 0.500]" in said
    assert "4 requests, $0.0" in said
    assert "left out" not in said


def test_what_failed_is_counted_with_its_reason(tmp_path) -> None:
    said = told(tmp_path, does.prose(), ["a", None], ["b", "c"])
    assert "left out: 1 without an ok answer in both orders" in said
    assert "left out: 1 without a response of one model" in said
    assert "2 × no value for preference" in said
    assert "win rate – (nothing to count)" in said
    assert "ask for what failed" in said


def test_a_budget_that_ends_says_so(tmp_path) -> None:
    said = told(tmp_path, prefers(lambda first, second: 0), ["a", "b"], ["c", "d"], max_cost=0.0001)
    assert "left out: 2 not reached" in said
    assert "A higher --max-cost goes on" in said
    assert "win rate" not in said
