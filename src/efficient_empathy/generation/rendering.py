"""Chat messages as the model's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from efficient_empathy.errors import UserError
from efficient_empathy.generation.contract import Prompt
from efficient_empathy.prompting import without_markers, without_oldest


def encode(prompts: Sequence[Prompt], tokenizer: Any, name: str) -> list[list[int]]:
    """Each prompt through the tokenizer's chat template, up to where the reply begins, as token ids.

    Control tokens in dialogue text are made plain text first. Qwen3 is asked not to think, as it was trained. Raises
    `UserError` where there is no chat template, or where it does not take the messages.
    """
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise UserError(f"{name} has no chat template: generate with an instruction-tuned model, or one trained here")
    markers = [token.content for token in tokenizer.added_tokens_decoder.values()]
    try:
        texts = [
            tokenizer.apply_chat_template(
                without_markers(prompt, markers), tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
            for prompt in prompts
        ]
    except TemplateError as error:
        remedy = "" if prompts[0][0]["role"] != "system" else ": use --template chat, which has no system message"
        raise UserError(f"{name}'s chat template does not take these messages ({error}){remedy}") from error
    encoded: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return encoded


def encode_within(prompts: Sequence[Prompt], tokenizer: Any, name: str, room: int) -> list[list[int]]:
    """`encode`, with the oldest turns left out of prompts of more than `room` tokens; empty where none fits."""
    encoded = encode(prompts, tokenizer, name)
    for i, ids in enumerate(encoded):
        prompt = list(prompts[i])
        while len(ids) > room and (prompt := without_oldest(prompt)):
            (ids,) = encode([prompt], tokenizer, name)
        encoded[i] = ids if len(ids) <= room else []
    return encoded


def room_for(window: int, new_tokens: int) -> int:
    """The longest prompt in a window: what `new_tokens` leave of it, and three quarters of it at least."""
    return window - min(new_tokens, window // 4)


def stop_tokens(tokenizer: Any, generation_config: Any) -> frozenset[int]:
    """The tokens that end a reply: those of the model's generation config, and the tokenizer's end-of-sequence."""
    configured = getattr(generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None)
