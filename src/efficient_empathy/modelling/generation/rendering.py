"""Chat messages as the model's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from efficient_empathy.llm.prompting import ChatText, without_oldest
from efficient_empathy.modelling.generation.contract import Prompt


def encode(prompts: Sequence[Prompt], tokenizer: Any, name: str) -> list[list[int]]:
    """Each prompt through the tokenizer's chat template, up to where the reply begins, as token ids.

    Raises `UserError` as `ChatText` does.
    """
    chat = ChatText(tokenizer, name)
    texts = [chat.prompt(prompt) for prompt in prompts]
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
