"""Samples and scores of runs that thresholds are moved on."""

import numpy as np

from efficient_empathy.dialogues import Sample, Utterance

CATEGORIES = ("glad", "lonely", "proud", "worried")
WORDS = ("that", "sounds", "hard", "and", "glad", "you", "told", "me", "so", "what", "would", "help", "right", "now")


def dialogue_samples(dialogues, *, categories=CATEGORIES, turns=2, seed=0):
    """Dialogues of a few turns; replies of the most sensible categories are longest."""
    rng, samples = np.random.default_rng(seed), []
    for i in range(dialogues):
        context = [Utterance("speaker", f"I lost my keys {i}")]
        for turn in range(turns):
            reply = " ".join(rng.choice(WORDS, rng.integers(2, 9)))
            category = categories[i % len(categories)] if categories else None
            samples.append(Sample.of(context, reply, dialogue_id=f"d{i}", turn=2 * turn + 1, category=category))
            context = [*context, Utterance("listener", reply), Utterance("speaker", "and I am afraid")]
    return samples


def whole_scores(n, categories=4, seed=0):
    """Random whole scores; each category has a level of its own."""
    rng = np.random.default_rng(seed)
    level = np.arange(n) // 2 % max(1, categories)
    s = np.clip(rng.integers(0, 9, n) + level, 0, 10)
    r = np.clip(rng.integers(0, 9, n) + 2 - level, 0, 10)
    return {"sensibility": s.tolist(), "rationality": r.tolist()}


WARM = """
name: warm
thresholds: {hope: 2, tact: 3, long: 5}
rules:
  - golden: warmth > hope and care >= tact and truth > tact
  - plain: warmth > hope or response_words > long
otherwise: rest
"""
WARM_SCALES = {"warmth": (1, 3), "care": (0, 5), "truth": (0, 5)}


def warm_scores(n, seed=0):
    """Random whole scores on the axes that `WARM` looks at."""
    rng = np.random.default_rng(seed)
    return {axis: rng.integers(low, high + 1, n).tolist() for axis, (low, high) in WARM_SCALES.items()}
