"""Any local model through transformers, decoded in batches that finished rows leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer

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
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return ids


def encode_within(prompts: Sequence[Prompt], tokenizer: Any, name: str, room: int) -> list[list[int]]:
    """`encode`, with the oldest turns left out of prompts of more than `room` tokens; empty where none fits."""
    prompt_ids = encode(prompts, tokenizer, name)
    return [
        ids if len(ids) <= room else shortened(prompt, tokenizer, name, room)[0]
        for prompt, ids in zip(prompts, prompt_ids, strict=True)
    ]


def shortened(prompt: Prompt, tokenizer: Any, name: str, room: int) -> tuple[list[int], int]:
    """One prompt within `room` tokens, and how many of its oldest turns were left out; no tokens where none fits."""
    kept = list(prompt)
    (ids,) = encode([kept], tokenizer, name)
    while len(ids) > room:
        if not (rest := without_oldest(kept)):
            return [], len(prompt)
        kept = rest
        (ids,) = encode([kept], tokenizer, name)
    return ids, len(prompt) - len(kept)


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
            pending = [fits[i] for i in batch if fits[i] not in done]
            if pending:
                seeds = [prompt_seed(settings.seed, prompts[i]) for i in pending]
                tokens = self._complete([ids[i] for i in pending], seeds)
                yield [self._reply(i, len(ids[i]), reply) for i, reply in zip(pending, tokens, strict=True)]

    def _complete(self, prompts: list[list[int]], seeds: list[int]) -> list[list[int]]:
        """Token replies; where the GPU's memory does not suffice, of one half after the other."""
        import torch

        settings = self.settings
        limits = [min(settings.max_new_tokens, self.window - len(prompt)) for prompt in prompts]
        choose: Choose = most_probable
        if settings.temperature:
            choose = sampling(seeds, max(limits), settings.temperature, settings.top_p)
        if settings.repetition_penalty != 1:
            choose = penalising(choose, prompts, settings.repetition_penalty)
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


SHRINK = 0.9
"""The batch is cut down to its unfinished rows once they are at most this share of it, since that copies the cache."""
ALIKE = 0.8
"""Prompts are read together where the shortest has at least this share of the longest's tokens."""

Choose = Callable[[torch.Tensor, list[int], int], torch.Tensor]
"""From logits (rows × vocabulary), the prompt each row belongs to, and the step, to one token a row."""


@torch.inference_mode()
def decode(
    model: Any, prompts: Sequence[Sequence[int]], limits: Sequence[int], stops: Collection[int], choose: Choose
) -> list[list[int]]:
    """The tokens that follow each prompt, up to and with the first of `stops`, or `limits` of them.

    Prompts are padded on the left; positions are counted from each prompt's own first token, so that padding changes no
    result. A row costs nothing more soon after it has finished, which `model.generate` does not give.
    """
    logits, mask, cache = _prefill(model, prompts)
    positions = mask.sum(-1, keepdim=True)
    replies: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))
    unfinished = set(rows)
    for step in range(max(limits)):
        tokens = choose(logits, rows, step)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if row in unfinished:
                replies[row].append(token)
                if token in stops or len(replies[row]) >= limits[row]:
                    unfinished.discard(row)
        if not unfinished:
            break
        if len(unfinished) <= SHRINK * len(rows):
            keep = torch.tensor([i for i, row in enumerate(rows) if row in unfinished], device=mask.device)
            cache.batch_select_indices(keep)
            tokens, mask, positions = tokens[keep], mask[keep], positions[keep]
            rows = [row for row in rows if row in unfinished]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        logits, cache = _forward(model, tokens[:, None], mask, positions, cache)
        positions = positions + 1
    return replies


def _forward(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
) -> tuple[torch.Tensor, Any]:
    """The logits after the last of `ids` (rows × vocabulary), and the key-value cache that has all of them."""
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
        use_cache=True, logits_to_keep=1,
    )  # fmt: skip
    return output.logits[:, -1], output.past_key_values


def _prefill(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Logits after each prompt, the attention mask (prompts × longest prompt), and the cache of them all.

    Prompts are read in groups of like length, since reading padding costs as much as reading text; the groups' caches
    are then padded, which costs next to nothing. Caches that cannot be (sliding windows, states) are read as one group.
    """
    groups = _groups([len(prompt) for prompt in prompts]) if _plain_cache(model) else [range(len(prompts))]
    width = max(len(prompt) for prompt in prompts)
    logits, masks, caches = [], [], []
    for group in groups:
        ids, mask = _pad_left([prompts[i] for i in group], model.device)
        last, cache = _forward(model, ids, mask, (mask.cumsum(-1) - 1).clamp(min=0), None)
        logits.append(last)
        masks.append(pad(mask, (width - mask.shape[1], 0)))
        caches.append(cache)
    return torch.cat(logits), torch.cat(masks), _join_caches(caches, width)


def _groups(lengths: Sequence[int]) -> list[range]:
    """Runs of neighbours of which none is shorter than `ALIKE` of the first, nor longer than it."""
    starts = [0]
    for i, length in enumerate(lengths):
        if not ALIKE * lengths[starts[-1]] <= length <= lengths[starts[-1]]:
            starts.append(i)
    return [range(start, end) for start, end in pairwise([*starts, len(lengths)])]


def _plain_cache(model: Any) -> bool:
    """Whether the model's cache is keys and values of all positions in every layer, and nothing else."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _join_caches(caches: list[Any], width: int) -> Any:
    """One cache for the rows of all, padded on the left to `width` positions."""
    first = caches[0]
    for index, layer in enumerate(first.layers if len(caches) > 1 else ()):
        for name in ("keys", "values"):
            parts = [getattr(cache.layers[index], name) for cache in caches]
            tensor = torch.cat([pad(part, (0, 0, width - part.shape[-2], 0)) for part in parts])
            for cache in caches:
                setattr(cache.layers[index], name, None)  # make room
            setattr(layer, name, tensor)
    return first


def _pad_left(prompts: Sequence[Sequence[int]], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both prompts × longest prompt. The padding token does not matter: it is masked."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def most_probable(logits: torch.Tensor, rows: list[int], step: int) -> torch.Tensor:
    """The most probable token of each row."""
    return logits.argmax(-1)


def sampling(seeds: Sequence[int], length: int, temperature: float, top_p: float) -> Choose:
    """Draws from the most probable tokens that together have `top_p`; each prompt has its seed and draws of its own."""
    draws = torch.from_numpy(np.stack([np.random.default_rng(seed).random(length) for seed in seeds]))

    def choose(logits: torch.Tensor, rows: list[int], step: int) -> torch.Tensor:
        p, order = (logits.double() / temperature).softmax(-1).sort(descending=True, stable=True)
        cumulative = p.cumsum(-1)
        inside = (cumulative - p) < top_p
        mass = (p * inside).sum(-1)
        target = draws[rows, step].to(logits.device) * mass
        ranks = (cumulative <= target[:, None]).sum(-1).minimum(inside.sum(-1) - 1)
        return order.gather(-1, ranks[:, None])[:, 0]

    return choose


def penalising(choose: Choose, prompts: Sequence[Sequence[int]], penalty: float) -> Choose:
    """Makes tokens of a row's prompt and reply less probable to come again, then lets `choose` choose.

    Their logits are divided by `penalty` where they are above 0 and multiplied by it elsewhere (Keskar et al. 2019,
    arXiv 1909.05858, section 4.1), as transformers and vLLM do. A prompt's tokens count.
    """
    seen: torch.Tensor | None = None

    def penalised(logits: torch.Tensor, rows: list[int], step: int) -> torch.Tensor:
        nonlocal seen
        if seen is None:
            seen = torch.zeros(len(prompts), logits.shape[-1], dtype=torch.bool, device=logits.device)
            for row, prompt in enumerate(prompts):
                seen[row, torch.tensor(prompt, device=logits.device)] = True
        weighed = torch.where(logits > 0, logits / penalty, logits * penalty)
        tokens = choose(torch.where(seen[rows], weighed, logits), rows, step)
        seen[rows, tokens] = True
        return tokens

    return penalised
