from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Price, Prices


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4o", Price(2.5, 10.0)),
        ("gpt-4o-2024-08-06", Price(2.5, 10.0)),
        ("gpt-4o-2024-05-13", Price(5.0, 15.0)),
        ("gpt-4o-mini-2024-07-18", Price(0.15, 0.6)),
        ("openai/gpt-4.1-nano", Price(0.1, 0.4)),
        ("gpt-4o-20240806", Price(2.5, 10.0)),
        ("gpt-4o@2024-08-06", Price(2.5, 10.0)),
        ("gpt-4o-latest", Price(2.5, 10.0)),
        ("openai/gpt-4o-2024-05-13", Price(5.0, 15.0)),
        ("gpt-4o-0513", Price(5.0, 15.0)),
        ("gpt-4o@20240513", Price(5.0, 15.0)),
        ("gpt-3.5-turbo-2023-06-13", Price(1.5, 2.0)),
        ("gpt-3.5-turbo-0125", Price(0.5, 1.5)),
        ("gpt-3.5-turbo-1106", Price(1.0, 2.0)),
        ("gpt-3.5-turbo-0613", Price(1.5, 2.0)),
        ("gpt-5-2025-08-07", Price(1.25, 10.0)),
        ("gpt-5-pro", None),
        ("gpt-5-pro-2025-10-06", None),
        ("gpt-3.5-turbo-16k-0613", None),
        ("gpt-3.5-turbo-8192", None),
        ("gpt-4o:free", None),
        ("gpt-4.5-preview", None),
        ("meta-llama/Llama-3-8B-Instruct", None),
    ],
)
def test_a_listed_name_covers_itself_and_its_versions(model: str, price: Price | None) -> None:
    listed = Prices.load().find(model)
    assert (listed and Price(listed.input, listed.output)) == price


def test_what_a_cache_had_or_got_has_prices_of_its_own() -> None:
    claude, unlisted = Prices.load().find("claude-haiku-4-5"), Price(1.0, 5.0)
    assert claude is not None
    assert claude.cost(1000, 10, read=600, written=200) == pytest.approx((200 + 600 * 0.1 + 200 * 1.25 + 50) / 1e6)
    assert unlisted.cost(1000, 10, read=600, written=200) == pytest.approx((200 + 600 + 200 * 1.25 + 50) / 1e6)


def test_a_users_file_goes_before_the_bundled_one(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("gpt-4o: {input: 1, output: 2}\nour-model: {input: 0.5, output: 0}\n")
    prices = Prices.load(path)
    assert prices.find("gpt-4o-2024-08-06") == Price(1.0, 2.0)
    assert prices.find("gpt-4o-2024-05-13") == Price(1.0, 2.0)
    assert prices.find("our-model") == Price(0.5, 0.0)
    assert prices.find("gpt-4.1") == Price(2.0, 8.0, cached=0.5)


@pytest.mark.parametrize(
    "text",
    ["", "- a", "a: 3", "a: {input: 1}", "a: {input: -1, output: 2}", "a: {input: .nan, output: 2}", "{", "\x00"],
)
def test_a_file_of_another_form_is_told_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"prices\.yaml"):
        Prices.load(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        Prices.load(tmp_path / "nowhere.yaml")


def test_cost_is_per_million_tokens() -> None:
    assert Price(2.5, 10.0).cost(1000, 100) == pytest.approx(0.0035)


@pytest.mark.parametrize(
    ("price", "writes", "dearest"),
    [
        (Price(2.0, 8.0, cached=0.5), False, 2.0),
        (Price(2.0, 8.0, cached=3.0), False, 3.0),
        (Price(2.0, 8.0), True, 2.5),
        (Price(2.0, 8.0, written=1.0), True, 2.0),
    ],
)
def test_the_most_that_tokens_may_cost_covers_whatever_a_cache_had_or_got(
    price: Price, writes: bool, dearest: float
) -> None:
    assert price.most(1000, 10, writes=writes) == pytest.approx((1000 * dearest + 10 * 8.0) / 1e6)
    assert price.cost(1000, 10, read=1000) <= price.most(1000, 10, writes=writes)


def test_of_two_prices_each_part_is_the_higher_one() -> None:
    dear, cheap = Price(5.0, 15.0), Price(2.5, 10.0, cached=1.25)
    assert dear.or_dearer(cheap) is dear
    assert cheap.or_dearer(dear) == Price(5.0, 15.0, cached=5.0, written=6.25)
    assert Price(1.0, 20.0, cached=0.1).or_dearer(cheap) == Price(2.5, 20.0, cached=1.25, written=3.125)


def test_a_request_in_a_batch_costs_half_or_the_share_that_the_file_says(tmp_path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text("gateway: {input: 2.0, output: 8.0, batch: 1}\n")
    prices = Prices.load(own)
    listed, gateway = prices.find("gpt-4o"), prices.find("gateway")
    assert listed.in_batch().cost(10**6, 10**6) == pytest.approx(listed.cost(10**6, 10**6) / 2)
    assert listed.in_batch().cost(10**6, 0, 10**6) == pytest.approx(listed.cost(10**6, 0, 10**6) / 2)
    assert gateway.in_batch().cost(10**6, 10**6) == 10.0
