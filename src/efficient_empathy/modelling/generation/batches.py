"""Which prompts are answered together."""

from __future__ import annotations

from collections.abc import Sequence


def plan(lengths: Sequence[int], new_tokens: int, batch_size: int, batch_tokens: int) -> list[list[int]]:
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
