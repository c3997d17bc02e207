import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.logprobs import distributions

RUBRIC = Rubric.load()


def token_logprobs(options: dict[str, float]) -> dict:
    """A token entry as OpenAI documents it: the first option was written."""
    top = [{"token": text, "logprob": math.log(p)} for text, p in options.items()]
    return {**top[0], "top_logprobs": top}


def reply(*tokens: dict[str, float]) -> tuple[str, list[dict]]:
    return "".join(next(iter(options)) for options in tokens), [token_logprobs(options) for options in tokens]


def test_what_else_was_considered_is_shared_out() -> None:
    text, tokens = reply(
        {"Sensibility": 1.0}, {": ": 1.0}, {"8": 0.6, "7": 0.2, "high": 0.2}, {"\nRationality: ": 1.0}, {"2": 1.0}
    )
    result = distributions(text, tokens, RUBRIC)
    assert result["sensibility"][8] == pytest.approx(0.75)
    assert result["sensibility"][7] == pytest.approx(0.25)
    assert result["rationality"] == [float(i == 2) for i in range(11)]


def test_a_ten_in_two_tokens_is_a_ten() -> None:
    text, tokens = reply({"Sensibility: ": 1.0}, {"1": 0.9, "9": 0.1}, {"0": 1.0}, {"\nRationality: ": 1.0}, {"0": 1.0})
    assert distributions(text, tokens, RUBRIC)["sensibility"][10] == pytest.approx(0.9)


def test_without_a_number_for_every_axis_there_is_nothing() -> None:
    text, tokens = reply({"Sensibility: ": 1.0}, {"8": 1.0})
    assert distributions(text, tokens, RUBRIC) == {}
    assert distributions(text, None, RUBRIC) == {}


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=6))
def test_any_form_gives_distributions_or_nothing(value: object) -> None:
    entries = value if isinstance(value, list) else [{"token": "8", "logprob": value, "top_logprobs": value}]
    result = distributions("Sensibility: 8\nRationality: 8", entries, RUBRIC)
    assert all(sum(table) == pytest.approx(1) for table in result.values())
