"""Self-BLEU by sacrebleu's rules, in time linear in the texts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from efficient_empathy.foundation.errors import missing_extra

_ORDERS = 4


def self_bleu(texts: Sequence[str]) -> tuple[float | None, str]:
    """The mean of each text's BLEU-4 against all others, ×100, and sacrebleu's signature; None of fewer than two texts.

    The same as `BLEU(effective_order=True).sentence_score(text, others)`, which goes through all others for each text.
    Of those, only how often an n-gram is in the one that has it most often counts, and the nearest length: the first
    two of each n-gram, and all lengths, are known after one pass. Raises `UserError` without the extra `eval`.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise missing_extra("Self-BLEU", "eval") from error
    bleu = BLEU(effective_order=True)
    words = [bleu.tokenizer(text.rstrip()).split() for text in texts]
    grams = [_grams(row) for row in words]
    most: dict[tuple[str, ...], tuple[int, int]] = {}
    for row in grams:
        for gram, count in row.items():
            first, second = most.get(gram, (0, 0))
            if count > second:
                most[gram] = (max(first, count), min(first, count))
    lengths = sorted(map(len, words))
    total = 0.0
    for row, tokens in zip(grams, words, strict=True):
        matches, counts = [0] * _ORDERS, [0] * _ORDERS
        for gram, count in row.items():
            first, second = most[gram]
            counts[len(gram) - 1] += count
            matches[len(gram) - 1] += min(count, second if count == first else first)
        if len(texts) > 1:
            total += bleu.compute_bleu(
                matches, counts, len(tokens), _nearest_other(lengths, len(tokens)), bleu.smooth_method,
                bleu.smooth_value, effective_order=True,
            ).score  # fmt: skip
    bleu.corpus_score(["a"], [["a"]])  # the signature is known from the first use on
    return (total / len(texts) if len(texts) > 1 else None), str(bleu.get_signature())


def _grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[at : at + order]) for order in range(1, _ORDERS + 1) for at in range(len(words) - order + 1)
    )


def _nearest_other(lengths: Sequence[int], length: int) -> int:
    """The length nearest to `length` in the sorted list, itself left out once; the shorter of two as near."""
    at = bisect_left(lengths, length)
    others = [*lengths[max(0, at - 1) : at], *lengths[at + 1 : at + 2]]
    return min(others, key=lambda other: (abs(other - length), other))
