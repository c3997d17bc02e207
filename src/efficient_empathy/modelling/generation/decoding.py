"""The decoding loop: a batch of token prompts to token replies, whose finished rows leave the batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer

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
    seen = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
        use_cache=True, logits_to_keep=1,
    )  # fmt: skip
    return seen.logits[:, -1], seen.past_key_values


def _prefill(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Logits after each prompt, the attention mask (prompts × longest prompt), and the cache of them all.

    Prompts are read in groups of like length, since reading padding costs as much as reading text; the groups' caches
    are then padded, which costs next to nothing. Caches that cannot be (sliding windows, states) are read as one group.
    """
    groups = _groups([len(prompt) for prompt in prompts]) if _plain_cache(model) else [range(len(prompts))]
    width = max(len(prompt) for prompt in prompts)
    logits, masks, caches = [], [], []
    for group in groups:
        ids, mask = _padded([prompts[i] for i in group], model.device)
        last, cache = _forward(model, ids, mask, (mask.cumsum(-1) - 1).clamp(min=0), None)
        logits.append(last)
        masks.append(pad(mask, (width - mask.shape[1], 0)))
        caches.append(cache)
    return torch.cat(logits), torch.cat(masks), _joined(caches, width)


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


def _joined(caches: list[Any], width: int) -> Any:
    """One cache for the rows of all, padded on the left to `width` positions."""
    first = caches[0]
    for index, layer in enumerate(first.layers if len(caches) > 1 else ()):
        for name in ("keys", "values"):
            parts = [getattr(cache.layers[index], name) for cache in caches]
            joined = torch.cat([pad(part, (0, 0, width - part.shape[-2], 0)) for part in parts])
            for cache in caches:
                setattr(cache.layers[index], name, None)  # make room
            setattr(layer, name, joined)
    return first


def _padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
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
        picked = (cumulative <= target[:, None]).sum(-1).minimum(inside.sum(-1) - 1)
        return order.gather(-1, picked[:, None])[:, 0]

    return choose
