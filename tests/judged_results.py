"""Results of prompt tests, made without a judge."""

from __future__ import annotations

from typing import Any

from efficient_empathy.prompts.golden.records import RubricNote
from efficient_empathy.prompts.testing.records import TestRecord
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import load_policy

FIGURE = (0.5, 0.4, 0.6)
NAMES = ("exact", "within_one", "mean_shift", "mean_absolute", "kappa_quadratic", "alpha_ordinal", "spearman")


def result(**changes: Any) -> TestRecord:
    """A result that passed, with `changes` of its fields."""
    fields: dict[str, Any] = {
        "created_at": 0.0, "versions": {}, "golden": {"name": "mine", "items": 200, "corpus": "c"}, "corpus": "c",
        "rubric": RubricNote.of(Rubric.load()),
        "judge": {"name": "m", "reference": "openai:m", "spec": {"judge": "openai", "rubric": "r"}},
        "decoding": None, "parser": None, "repeats": 3, "rounds": (1, 2, 3), "reasons": {"no": 1}, "seconds": 1.5,
        "states": {"ok": 599, "parse_error": 0, "api_error": 0, "refused": 1},
        "usage": {"cost_usd": 0.5, "requests": 600, "prompt_tokens": 6, "completion_tokens": 7}, "items": (),
        "policy": load_policy("paper"), "seed": 0, "figures": {"sensibility": dict.fromkeys(NAMES, FIGURE)},
        "repeatability": {"sensibility": {"identical": FIGURE, "deviation": (None, None, None)}},
        "baseline": {"name": "0001-m.json", "kind": "result"}, "changes": None, "against_baseline": None,
        "verdict": "pass", "exit_code": 0, "checks": (), "items_needed": None, "tolerances": {},
    }  # fmt: skip
    return TestRecord.of(**{**fields, **changes})
