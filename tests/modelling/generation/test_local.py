"""Against `model.generate`, one prompt at a time: what is padded, and what leaves the batch, must change nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation import local
from efficient_empathy.modelling.generation.local import (
    LocalGenerator,
    decode,
    encode,
    most_probable,
    penalising,
    plan_batches,
    sampling,
    stop_tokens,
)
from efficient_empathy.modelling.generation.settings import GenerationSettings
from tiny_models import CHAT_TEMPLATE, SIZES, tiny_model, tiny_tokenizer

SHORT = GenerationSettings(max_new_tokens=12)


def replies(generator, prompts, done=()):
    found = [reply for batch in generator.generate(prompts, done) for reply in batch]
    return {reply.prompt: reply for reply in found}


@pytest.mark.parametrize("batching", [{"batch_size": 2}, {"batch_tokens": 150}, {}])
def test_batches_of_any_size_say_the_same(tiny, prompts, batching):
    alone = replies(LocalGenerator.load(tiny, SHORT.model_copy(update={"batch_size": 1})), prompts)
    together = replies(LocalGenerator.load(tiny, SHORT.model_copy(update=batching)), prompts)
    assert together == alone
    assert sorted(alone) == list(range(len(prompts)))
    assert len({reply.text for reply in alone.values()}) == len(prompts)


def test_what_is_done_is_not_answered_again_and_batches_stay_as_they_were(tiny, prompts):
    generator = LocalGenerator.load(tiny, SHORT.model_copy(update={"batch_size": 2}))
    batches = [[reply.prompt for reply in batch] for batch in generator.generate(prompts)]
    rest = [[reply.prompt for reply in batch] for batch in generator.generate(prompts, set(batches[0]))]
    assert rest == batches[1:]


def test_a_reply_that_ends_says_stop_and_counts_its_last_token(tiny, prompts):
    generator = LocalGenerator.load(tiny, SHORT)
    ids = encode(prompts[:1], generator.tokenizer, "tiny")
    free = local.decode(generator.model, ids, [12], (), local.most_probable)[0]
    assert replies(generator, prompts)[0].finish_reason == "length"
    generator.stops = frozenset({free[4]})
    found = replies(generator, prompts)[0]
    tokens = free.index(free[4]) + 1
    assert (found.finish_reason, found.completion_tokens) == ("stop", tokens)
    assert found.text == generator.tokenizer.decode(free[:tokens], skip_special_tokens=True).strip()


def test_an_adapter_answers_as_its_base_with_the_adapter_on(tmp_path, tiny, prompts):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), LoraConfig(r=4, target_modules=["q_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(tmp_path / "adapter")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "adapter")
    found = replies(LocalGenerator.load(tmp_path / "adapter", SHORT), prompts)
    expected = replies(LocalGenerator(model, AutoTokenizer.from_pretrained(tiny), SHORT), prompts)
    assert found == expected
    assert found != replies(LocalGenerator.load(tiny, SHORT), prompts)


def test_a_prompt_longer_than_the_window_loses_its_oldest_turns(tmp_path, prompts):
    generator = LocalGenerator.load(tiny_model(tmp_path / "model", max_position_embeddings=64), SHORT)
    old = [{"role": "user", "content": "I lost my keys. " * 20}, {"role": "assistant", "content": "Oh."}]
    long, short = replies(generator, [[*old, *prompts[3]], prompts[3]]).values()
    assert (long.text, long.prompt_tokens) == (short.text, short.prompt_tokens)


def test_a_prompt_that_cannot_be_shortened_is_an_error_of_its_own(tmp_path, prompts):
    generator = LocalGenerator.load(tiny_model(tmp_path / "model", max_position_embeddings=24), SHORT)
    system = {"role": "system", "content": "Be kind to the one who speaks to you, whatever they say to you."}
    found = replies(generator, [[system, *prompts[3]], prompts[3]])
    assert (found[0].finish_reason, found[0].text) == ("error", None)
    assert "window of 24 tokens" in found[0].reason
    assert found[1].text is not None


def test_where_memory_does_not_suffice_the_batch_is_halved(tiny, prompts, monkeypatch):
    generator = LocalGenerator.load(tiny, SHORT)
    expected, sizes, whole = replies(generator, prompts), [], local.decode

    def cramped(model, batch, *rest):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(model, batch, *rest)

    monkeypatch.setattr(local, "decode", cramped)
    assert replies(generator, prompts) == expected
    assert sizes == [5, 2, 3, 1, 2]


def test_a_model_without_a_chat_template_is_refused(tmp_path, prompts):
    folder = tiny_model(tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="chat template"):
        LocalGenerator.load(folder, SHORT)


def test_a_template_that_takes_no_system_message_is_told(tiny, prompts):
    generator = LocalGenerator.load(tiny, SHORT)
    generator.tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + CHAT_TEMPLATE
    )
    with pytest.raises(UserError, match=r"no system here.*prompt template chat"):
        replies(generator, [[{"role": "system", "content": "Be kind."}, *prompts[0]]])


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 9), st.integers(50, 2000))
def test_every_prompt_is_in_one_batch_within_both_limits(lengths, size, tokens):
    batches = plan_batches(lengths, 20, size, tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[i] for i in batch) + 20) <= tokens
        assert len(batch) <= size


def test_the_longest_come_first_and_like_lengths_together():
    assert plan_batches([5, 90, 6, 80], 10, 2, 10_000) == [[1, 3], [2, 0]]


NEW_TOKENS = 24


def alone(model, ids, **options):
    """The reference: transformers' own generation of one prompt, without padding and to the full length."""
    prompt = torch.tensor([ids])
    options |= {"min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0}
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


def test_a_penalty_on_repetition_is_that_of_transformers_for_rows_that_leave_too(tmp_path, ids):
    model = model_of(tmp_path, "llama")
    whole = [alone(model, prompt, repetition_penalty=1.7) for prompt in ids]
    limits = [4, NEW_TOKENS, 7, 9, NEW_TOKENS]
    found = decode(model, ids, limits, set(), penalising(most_probable, ids, 1.7))
    assert found == [reply[:n] for reply, n in zip(whole, limits, strict=True)]
    assert found[1] != alone(model, ids[1])


def test_the_setting_reaches_the_decoding_and_its_record(tiny, prompts):
    settings = SHORT.model_copy(update={"repetition_penalty": 2.0})
    assert settings.decoding["repetition_penalty"] == 2.0
    assert "repetition_penalty" not in SHORT.decoding
    generator = LocalGenerator.load(tiny, settings)
    assert replies(generator, prompts) != replies(LocalGenerator.load(tiny, SHORT), prompts)


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
