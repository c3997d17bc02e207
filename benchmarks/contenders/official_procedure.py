"""The official metrics as one would write them from the released code's description: plain loops, Counters and NLTK.

What our figures are held against in the benchmark and in the tests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu

Tokens = list[list[str]]


def official(
    predictions: Sequence[str], references: Sequence[str], tokenize: Callable[[str], list[str]]
) -> dict[str, float]:
    """The ten figures ×100; `tokenize` gets lower-cased text."""
    answers = [tokenize(text.lower()) for text in predictions]
    golds = [tokenize(text.lower()) for text in references]
    smooth = SmoothingFunction(epsilon=1e-12).method1
    figures = {"cf1": token_f1(answers, golds)}
    for n in (1, 2, 3, 4):
        figures[f"bleu{n}"] = float(
            corpus_bleu([[gold] for gold in golds], answers, weights=(1 / n,) * n, smoothing_function=smooth)
        )
    return {name: 100 * v for name, v in (figures | distinct(answers) | rouge(answers, golds)).items()}


def token_f1(answers: Tokens, golds: Tokens) -> float:
    tiny = 1e-8
    hits = sum(((Counter(a) & Counter(g)).total() for a, g in zip(answers, golds, strict=True)), tiny)
    precision, recall = hits / sum(map(len, answers), tiny), hits / sum(map(len, golds), tiny)
    return 2 * precision * recall / (precision + recall)


def distinct(answers: Tokens) -> dict[str, float]:
    counts = {n: Counter(gram for tokens in answers for gram in grams(tokens, n)) for n in (1, 2)}
    return {f"dist{n}": (len(own) + 1e-5) / (own.total() + 1e-5) for n, own in counts.items()}


def rouge(answers: Tokens, golds: Tokens) -> dict[str, float]:
    totals = {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0}
    for answer, gold in zip(answers, golds, strict=True):
        ours, theirs = bare(" ".join(answer)), bare(" ".join(gold))
        for n in (1, 2):
            mine, other = Counter(grams(ours, n)), Counter(grams(theirs, n))
            totals[f"rouge{n}"] += f1((mine & other).total(), max(1, mine.total()), max(1, other.total()))
        totals["rougeL"] += f1(longest(ours, theirs), len(ours), len(theirs))
    return {name: total / len(answers) for name, total in totals.items()}


def f1(hits: int, ours: int, theirs: int) -> float:
    return 2 * hits / (ours + theirs) if hits else 0.0


def grams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def bare(text: str) -> list[str]:
    text = re.sub(r"""[!"#$%&()*+,\-./:;<=>?@\[\]\\^`{|}~_']""", " ", text.lower())
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split()).split(" ")


def longest(ours: list[str], theirs: list[str]) -> int:
    row = [0] * (len(theirs) + 1)
    for token in ours:
        before = 0
        for i, other in enumerate(theirs, 1):
            row[i], before = (before + 1 if token == other else max(row[i], row[i - 1])), row[i]
    return row[-1]
