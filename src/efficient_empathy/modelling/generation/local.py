"""Any local model through transformers: dense, Mixture-of-Experts, or an adapter on its base."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from efficient_empathy.llm.prompting import ChatText, without_oldest
from efficient_empathy.modelling.generation.backends import Prompt, Reply
from efficient_empathy.modelling.generation.settings import GenerationSettings


def plan_batches(lengths: Sequence[int], new_tokens: int, batch_size: int, batch_tokens: int) -> list[list[int]]:
    """Positions of prompts of `lengths` tokens, in batches of like length, the longest first.

    No batch has more than `batch_size` prompts, nor more than `batch_tokens` tokens once padded to its longest prompt
    and `new_tokens` long replies; a prompt that is too long by itself has a batch of its own.
    """
    batches: list[list[int]] = []
    room = 0
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if room == 0:
            batches.append([])
            room = max(1, min(batch_size, batch_tokens // (lengths[i] + new_tokens)))
        batches[-1].append(i)
        room -= 1
    return batches


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


class LocalGenerator:
    """A model and its tokenizer in this process, on the device that the model is on."""

    backend = "transformers"

    def __init__(self, model: Any, tokenizer: Any, settings: GenerationSettings, name: str = "the model") -> None:
        self.model, self.tokenizer, self.settings, self.name = model.eval(), tokenizer, settings, name
        self.window = int(getattr(model.config, "max_position_embeddings", None) or 2**31)
        self.stops = stop_tokens(tokenizer, model.generation_config)

    @classmethod
    def load(cls, path: Path | str, settings: GenerationSettings) -> LocalGenerator:
        """The model in a folder (or of a hub name), on a GPU where there is one.

        In fp32 an adapter is merged into its base, which is exact to rounding and faster; in bf16 it stays beside it.
        """
        import torch

        from efficient_empathy.modelling.training.models import Dtype, load_model, load_tokenizer

        on_gpu = torch.cuda.is_available()
        dtype: Dtype = settings.precision if settings.precision != "auto" else ("bf16" if on_gpu else "fp32")
        model = load_model(
            path, dtype=dtype, allow_pickle=settings.allow_pickle, trust_remote_code=settings.trust_remote_code
        )
        if dtype == "fp32" and hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()
        return cls(model, load_tokenizer(path, trust_remote_code=settings.trust_remote_code), settings, str(path))

    def generate(self, prompts: Sequence[Prompt], done: Collection[int] = ()) -> Iterator[list[Reply]]:
        """Replies, one batch of prompts of like length at a time; see `Generator`."""
        settings = self.settings
        ids = encode_within(prompts, self.tokenizer, self.name, room_for(self.window, settings.max_new_tokens))
        fits = [i for i, tokens in enumerate(ids) if tokens]
        too_long = [i for i, tokens in enumerate(ids) if not tokens and i not in done]
        if too_long:
            reason = f"the prompt is longer than the model's window of {self.window:,} tokens"
            yield [Reply(i, None, "error", reason=reason) for i in too_long]
        for batch in plan_batches(
            [len(ids[i]) for i in fits], settings.max_new_tokens, settings.batch_size, settings.batch_tokens
        ):
            left = [fits[i] for i in batch if fits[i] not in done]
            if left:
                seeds = [prompt_seed(settings.seed, prompts[i]) for i in left]
                tokens = self._complete([ids[i] for i in left], seeds)
                yield [self._reply(i, len(ids[i]), reply) for i, reply in zip(left, tokens, strict=True)]

    def _complete(self, prompts: list[list[int]], seeds: list[int]) -> list[list[int]]:
        """Token replies; where the GPU's memory does not suffice, of one half after the other."""
        import torch

        from efficient_empathy.modelling.generation.decoding import Choose, decode, most_probable, sampling

        settings = self.settings
        limits = [min(settings.max_new_tokens, self.window - len(prompt)) for prompt in prompts]
        choose: Choose = most_probable
        if settings.temperature:
            choose = sampling(seeds, max(limits), settings.temperature, settings.top_p)
        try:
            return decode(self.model, prompts, limits, self.stops, choose)
        except torch.OutOfMemoryError:
            if len(prompts) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(prompts) // 2
        return [*self._complete(prompts[:half], seeds[:half]), *self._complete(prompts[half:], seeds[half:])]

    def _reply(self, prompt: int, prompt_tokens: int, tokens: list[int]) -> Reply:
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        finish = "stop" if tokens[-1] in self.stops else "length"
        return Reply(prompt, text, finish, prompt_tokens, len(tokens))  # type: ignore[arg-type]


def prompt_seed(seed: int, prompt: Prompt) -> int:
    """The seed of one prompt's draws: of its own text, so that nothing beside it matters."""
    return int.from_bytes(hashlib.sha256(json.dumps([seed, prompt]).encode()).digest()[:8])
