import polars as pl
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

from efficient_empathy.dialogues import Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.training.examples import encode
from tiny_models import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
END = TOKENIZER.eos_token_id
SAID = ("I lost my keys", "oh no", "and my day went wrong", "I'm sorry", "what would help me right now?")


def rows(*turns: str, response: str = "did you find them in the end?", template: str = "chat") -> pl.DataFrame:
    context = [Utterance("listener" if i % 2 else "speaker", text) for i, text in enumerate(turns)]
    return pl.DataFrame(
        {
            "sample_id": ["a"],
            "prompt": [PromptTemplate.load(template).messages(context)],
            "completion": [[{"role": "assistant", "content": response}]],
        }
    )


def text_of(encoded, part: slice = slice(None)) -> str:
    return TOKENIZER.decode(encoded.ids[part])


def test_the_response_is_what_follows_the_prompt_that_generation_starts_from() -> None:
    data = rows(*SAID)
    (sample,) = encode(data, TOKENIZER).samples
    prompt = TOKENIZER.apply_chat_template(data["prompt"][0].to_list(), add_generation_prompt=True, return_dict=False)
    assert sample.ids[: sample.start] == prompt
    assert text_of(sample, slice(sample.start, -1)) == "did you find them in the end?"
    assert sample.ids[-1] == END
    assert sample.response_tokens == len(sample.ids) - sample.start


def test_a_token_over_the_boundary_does_not_change_the_prompt() -> None:
    """The last line breaks of the tiny tokenizer's prompt are one token alone and two before a word."""
    data = rows("I lost my keys")
    whole = TOKENIZER(
        TOKENIZER.apply_chat_template(data["prompt"][0].to_list() + data["completion"][0].to_list(), tokenize=False),
        add_special_tokens=False,
    )["input_ids"]
    (sample,) = encode(data, TOKENIZER).samples
    assert whole != sample.ids
    assert TOKENIZER.decode(whole) == text_of(sample)


def test_the_response_ends_with_its_end_of_turn_whatever_the_template_writes_after_it() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace("<|eot_id|>", "<|eot_id|>\n")
    (chatty,) = encode(rows("I lost my keys"), tokenizer).samples
    assert chatty.ids[-1] == END
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    tokenizer.chat_template += "{% if add_generation_prompt %}assistant: {% endif %}"
    (bare,) = encode(rows("I lost my keys"), tokenizer).samples
    assert bare.ids[-1] == END
    assert bare.ids.count(END) == 1


def test_the_oldest_turns_go_first_and_the_response_never() -> None:
    full = encode(rows(*SAID), TOKENIZER).samples[0]
    for limit in range(40, len(full.ids)):
        encoding = encode(rows(*SAID), TOKENIZER, limit)
        assert encoding.truncated == 1
        (sample,) = encoding.samples
        text = text_of(sample)
        assert len(sample.ids) <= limit
        assert text.endswith("did you find them in the end?<|eot_id|>")
        assert text.count("user") > 0
        kept = [turn in text for turn in SAID]
        assert kept == sorted(kept), f"an older turn was kept before a newer one at {limit}"
    assert encode(rows(*SAID), TOKENIZER, len(full.ids)).truncated == 0


def test_of_a_transcript_the_oldest_lines_go_first() -> None:
    full = encode(rows(*SAID, template="speaker_listener"), TOKENIZER).samples[0]
    (sample,) = encode(rows(*SAID, template="speaker_listener"), TOKENIZER, len(full.ids) - 5).samples
    assert SAID[0] not in text_of(sample)
    assert f"Speaker: {SAID[4]}" in text_of(sample)


def test_a_system_message_is_never_cut() -> None:
    template = "empathetic_instruction"
    words = PromptTemplate.load(template).system
    full = encode(rows(*SAID, template=template), TOKENIZER).samples[0]
    (sample,) = encode(rows(*SAID, template=template), TOKENIZER, len(full.ids) - 8).samples
    assert words.split()[0] in text_of(sample)
    assert words.split()[-1] in text_of(sample)


def test_a_sample_whose_response_does_not_fit_is_left_out_by_name() -> None:
    encoding = encode(rows("I lost my keys", response="so sorry " * 60), TOKENIZER, 64)
    assert encoding.samples == []
    assert encoding.too_long == ["a"]
    assert encoding.truncated == 0


def test_a_template_that_refuses_the_messages_is_told() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('only user, please') }}"
    with pytest.raises(UserError, match=r"chat template does not take these messages \(only user, please\)"):
        encode(rows("I lost my keys"), tokenizer)
