from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation import decoding
from efficient_empathy.modelling.generation.local import LocalGenerator, encode, plan_batches
from efficient_empathy.modelling.generation.settings import GenerationSettings
from tiny_models import CHAT_TEMPLATE, tiny_model

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
    free = decoding.decode(generator.model, ids, [12], (), decoding.most_probable)[0]
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
    expected, sizes, whole = replies(generator, prompts), [], decoding.decode

    def cramped(model, batch, *rest):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(model, batch, *rest)

    monkeypatch.setattr(decoding, "decode", cramped)
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
