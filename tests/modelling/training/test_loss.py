import polars as pl
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch

from efficient_empathy.modelling.training.examples import encode
from efficient_empathy.modelling.training.loss import losses, mean_losses, response_losses
from efficient_empathy.modelling.training.models import load_model, load_tokenizer
from tiny_models import FAMILIES, tiny_model


def rows(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "prompt": [[{"role": "user", "content": "I lost my keys and " * (1 + i % 5)}] for i in range(n)],
            "completion": [[{"role": "assistant", "content": "oh no " * (1 + i % 7)}] for i in range(n)],
        }
    )


@pytest.mark.parametrize("family", list(FAMILIES))
def test_losses_are_those_of_one_sample_at_a_time(tmp_path, family) -> None:
    path = tiny_model(tmp_path, family, scale=3)
    model, tokenizer = load_model(path), load_tokenizer(path)
    data = rows(9)
    measured = response_losses(model, tokenizer, data, max_tokens=100)
    assert measured["sample_id"].to_list() == data["sample_id"].to_list()
    for sample, nll, tokens in zip(encode(data, tokenizer).samples, measured["nll"], measured["tokens"], strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([sample.ids])).logits[0].log_softmax(-1)
        expected = -sum(float(logits[i - 1, sample.ids[i]]) for i in range(sample.start, len(sample.ids)))
        assert nll == pytest.approx(expected, rel=1e-4)
        assert tokens == len(sample.ids) - sample.start


def test_shares_of_several_processes_add_up(tmp_path) -> None:
    path = tiny_model(tmp_path)
    model, samples = load_model(path), encode(rows(11), load_tokenizer(path)).samples
    whole = losses(model, samples, max_tokens=120)
    parts = [losses(model, samples, max_tokens=120, share=(k, 3)) for k in range(3)]
    assert [sum(values) for values in zip(*parts, strict=True)] == pytest.approx(whole)
    assert all(0 < sum(value > 0 for value in part) < 11 for part in parts)


def test_measuring_leaves_the_model_as_it_was(tmp_path) -> None:
    path = tiny_model(tmp_path)
    model, tokenizer = load_model(path).train(), load_tokenizer(path)
    before = torch.random.get_rng_state()
    response_losses(model, tokenizer, rows(3))
    assert model.training
    assert torch.equal(before, torch.random.get_rng_state())
    assert model(torch.tensor([[1, 2, 3]])).logits.shape[1] == 3


def test_means_are_over_tokens_and_a_repeated_sample_counts_each_time() -> None:
    measured = pl.DataFrame({"sample_id": ["a", "b"], "tokens": [1, 3], "nll": [1.0, 9.0]})
    groups = {"one": pl.DataFrame({"sample_id": ["a"]}), "all": pl.DataFrame({"sample_id": ["a", "b", "b"]}),
              "none": pl.DataFrame({"sample_id": ["c"]})}  # fmt: skip
    assert mean_losses(groups, measured) == {"one": 1.0, "all": 19 / 7}
