"""Against `model.generate`, one prompt at a time: what is padded, and what leaves the batch, must change nothing."""

from __future__ import annotations

import pytest
import torch

from efficient_empathy.modelling.generation.decoding import decode, most_probable, sampling
from efficient_empathy.modelling.generation.local import encode, stop_tokens
from tiny_models import SIZES, tiny_model, tiny_tokenizer

NEW_TOKENS = 24


def alone(model, ids):
    """The reference: transformers' own generation of one prompt, without padding and to the full length."""
    prompt = torch.tensor([ids])
    options = {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0}
    model.generation_config.eos_token_id = None
    return model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)[0, len(ids) :].tolist()


def model_of(folder, family, **config):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model(folder, family, scale=3.0, **config)).eval()


@pytest.fixture(scope="module")
def ids(prompts):
    return encode(prompts, tiny_tokenizer(), "tiny")


@pytest.mark.parametrize("family", ["llama", "llama3.1", "mistral", "qwen2", "qwen3"])
def test_a_batch_says_what_each_prompt_alone_would_be_answered(tmp_path, family, ids):
    model = model_of(tmp_path, family)
    replies = decode(model, ids, [NEW_TOKENS] * len(ids), set(), most_probable)
    assert replies == [alone(model, prompt) for prompt in ids]


@pytest.mark.parametrize("family", ["llama", "mistral"])
@pytest.mark.parametrize("shortest", [1, 5])
def test_rows_that_finish_leave_and_the_others_go_on_as_before(tmp_path, ids, shortest, family):
    model = model_of(tmp_path, family)
    whole = [alone(model, prompt) for prompt in ids]
    limits = [shortest, NEW_TOKENS, shortest + 3, 2 * shortest + 7, NEW_TOKENS]
    assert decode(model, ids, limits, set(), most_probable) == [w[:n] for w, n in zip(whole, limits, strict=True)]


def test_a_stop_token_ends_a_reply_and_is_its_last(tmp_path, ids):
    model = model_of(tmp_path, "llama")
    whole = [alone(model, prompt) for prompt in ids]
    stop = whole[1][4]
    expected = [reply[: reply.index(stop) + 1] if stop in reply else reply for reply in whole]
    assert decode(model, ids, [NEW_TOKENS] * len(ids), {stop}, most_probable) == expected
    assert len({len(reply) for reply in expected}) > 1


def test_a_mixture_of_experts_in_a_batch_is_as_alone(ids):
    import transformers

    torch.manual_seed(1)
    config = transformers.MixtralConfig(**SIZES, vocab_size=400, num_local_experts=4, num_experts_per_tok=2)
    model = transformers.MixtralForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    replies = decode(model, ids, [NEW_TOKENS] * len(ids), set(), most_probable)
    assert replies == [alone(model, prompt) for prompt in ids]


def test_draws_belong_to_the_prompt_whatever_is_beside_it(tmp_path, ids):
    model = model_of(tmp_path, "llama")
    seeds, limits = [11, 12, 13, 14, 15], [NEW_TOKENS] * len(ids)
    together = decode(model, ids, limits, set(), sampling(seeds, NEW_TOKENS, 0.8, 0.9))
    apart = [
        decode(model, [prompt], [NEW_TOKENS], set(), sampling([seed], NEW_TOKENS, 0.8, 0.9))[0]
        for prompt, seed in zip(ids, seeds, strict=True)
    ]
    assert together == apart
    assert together != decode(model, ids, limits, set(), sampling([s + 9 for s in seeds], NEW_TOKENS, 0.8, 0.9))


def test_draws_follow_the_distribution_within_the_nucleus():
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    n = 4000
    choose = sampling(list(range(n)), 3, 0.7, 0.9)
    tokens = choose((p.log() * 0.7).repeat(n, 1), list(range(n)), 2)
    shares = tokens.bincount(minlength=4) / n
    assert shares[3] == 0
    assert torch.allclose(shares[:3], p[:3] / 0.95, atol=0.03)
    assert sampling([1], 1, 1.0, 1e-9)(p.log()[None], [0], 0).tolist() == [0]


def test_where_a_reply_ends(tiny):
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), tiny_tokenizer()
    assert stop_tokens(tokenizer, model.generation_config) == {tokenizer.eos_token_id}
    model.generation_config.eos_token_id = [5, 7]
    assert stop_tokens(tokenizer, model.generation_config) == {5, 7, tokenizer.eos_token_id}
    assert stop_tokens(tokenizer, None) == {tokenizer.eos_token_id}
