"""Made-up responses with EPITOME's levels, and dialogues with categories, that a classifier can learn from."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FEEL = ["", "i am so sorry .", "i am so sorry , i really feel for you and i am sad with you ."]
KNOW = ["", "that sounds hard .", "you must feel worn out after all that waiting , i know it from my own move ."]
ASK = ["", "what happened ?", "do you feel alone since your brother left ?"]
TROUBLES = ["my cat ran away", "i lost my job", "my flight was cancelled", "my brother moved out", "i failed a test"]
EMOTIONS = {
    "afraid": ("the dark cellar scares me at night", "oh no , how scary , i would be frightened too"),
    "joyful": ("we won the village race today", "how wonderful , that makes me happy , congratulations"),
    "sad": ("my old dog died last week", "i am sorry for your loss , that is so sad"),
}


def epitome_rows(count: int = 90, seed: int = 0) -> list[dict[str, Any]]:
    """Rows as EPITOME's file has them; each way of showing empathy has words of its own."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        levels = [rng.randrange(3) for _ in range(3)] if i > 2 else [i] * 3
        parts = [said[level] for said, level in zip((FEEL, KNOW, ASK), levels, strict=True)]
        rng.shuffle(parts)
        rows.append(
            {
                "sp_id": str(i // 2),
                "seeker_post": f"{TROUBLES[i // 2 % 5]} and it is day {i // 2}",
                "response_post": " ".join(filter(None, ["well", *parts])),
                **dict(zip(("emotional_reactions", "interpretations", "explorations"), levels, strict=True)),
            }
        )
    return rows


def dialogue_rows(count: int = 60) -> list[dict[str, Any]]:
    """Single exchanges with one of three categories."""
    names = list(EMOTIONS)
    return [
        {
            "id": f"d{i}",
            "context": f"{EMOTIONS[names[i % 3]][0]} , day {i}",
            "response": EMOTIONS[names[i % 3]][1],
            "category": names[i % 3].title(),
        }
        for i in range(count)
    ]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """`rows` as JSON lines at `path`."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
