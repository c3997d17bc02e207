"""From messages to token ids, with the response's place in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import polars as pl

from efficient_empathy.llm.prompting import ChatText, without_oldest

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample's tokens; those from `start` on are the response's, its end-of-turn token the last."""

    sample_id: str
    ids: list[int]
    start: int

    @property
    def response_tokens(self) -> int:
        """How many tokens the loss is taken on."""
        return len(self.ids) - self.start


@dataclass
class Encoding:
    """Samples as tokens, and what did not fit."""

    samples: list[Encoded]
    truncated: int = 0
    """Samples whose oldest turns were left out."""
    too_long: list[str] = field(default_factory=list)
    """Ids of samples left out, since the response alone exceeds the limit."""


def encode(rows: pl.DataFrame, tokenizer: Any, max_length: int | None = None) -> Encoding:
    """Tokens of `prompt` and `completion` in the tokenizer's chat template.

    The prompt's tokens are those that generation starts from, and the response follows on them. It ends with its
    end-of-turn token: white space that a template writes after it is left off, and the tokenizer's own is put where
    a template has none. A sample of more than `max_length` tokens loses its oldest turns, then the oldest words of its
    last turn; one whose response does not fit even so is left out.
    """
    ids = rows["sample_id"].to_list()
    prompts, completions = rows["prompt"].to_list(), rows["completion"].to_list()
    ends = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
    encoding = Encoding([])
    for sample_id, prompt, completion, (tokens, start) in zip(
        ids, prompts, completions, _tokens(tokenizer, prompts, completions, ends), strict=True
    ):
        if max_length is not None and len(tokens) > max_length:
            fitting = _shortened(tokenizer, prompt, completion, max_length, ends)
            if fitting is None:
                encoding.too_long.append(sample_id)
                continue
            encoding.truncated += 1
            tokens, start = fitting
        encoding.samples.append(Encoded(sample_id, tokens, start))
    return encoding


def _tokens(
    tokenizer: Any, prompts: Sequence[Messages], completions: Sequence[Messages], ends: frozenset[int]
) -> list[tuple[list[int], int]]:
    """Ids and the response's first place, per sample."""
    if not prompts:
        return []
    chat = ChatText(tokenizer, tokenizer.name_or_path or "the model")
    asked = [chat.prompt(prompt) for prompt in prompts]
    answered = [chat.dialogue(prompt + completion) for prompt, completion in zip(prompts, completions, strict=True)]
    texts = [*asked, *answered, *(after.removeprefix(before) for before, after in zip(asked, answered, strict=True))]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    parts = zip(*(ids[at : at + len(asked)] for at in range(0, len(ids), len(asked))), strict=True)
    return [
        _closed(tokenizer, before, _joined(before, after, rest if text.startswith(ask) else None), ends)
        for (before, after, rest), ask, text in zip(parts, asked, answered, strict=True)
    ]


def _joined(prompt: list[int], whole: list[int], rest: list[int] | None) -> list[int]:
    """`whole`, unless a token reaches over the boundary: then the prompt as it is when a reply is generated, and the
    rest on its own.
    """
    return whole if rest is None or whole[: len(prompt)] == prompt else [*prompt, *rest]


def _closed(tokenizer: Any, prompt: list[int], whole: list[int], ends: frozenset[int]) -> tuple[list[int], int]:
    """`whole` up to and with the response's end-of-turn token, and where the response starts."""
    start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, whole, strict=False)))
    last = next((place for place in range(len(whole) - 1, start - 1, -1) if whole[place] in ends), None)
    if last is None or tokenizer.decode(whole[last + 1 :]).strip():
        return [*whole, tokenizer.eos_token_id], start
    return whole[: last + 1], start


def _shortened(
    tokenizer: Any, prompt: Messages, completion: Messages, max_length: int, ends: frozenset[int]
) -> tuple[list[int], int] | None:
    """The sample with as much of its newest context as fits, None where the response alone does not."""
    while prompt := without_oldest(prompt):
        ((tokens, start),) = _tokens(tokenizer, [prompt], [completion], ends)
        if len(tokens) <= max_length:
            return tokens, start
    return None
