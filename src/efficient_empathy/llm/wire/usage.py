"""What a reply says was billed: where it says two things, the dearer one counts; where it says none, nobody knows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeGuard

Usage = tuple[int, int]
"""Prompt and completion tokens."""

MOST_TOKENS = 10**15
"""A larger claim counts as this: so much breaks any limit on cost, and no sum of dollars overflows."""

_REBATES = frozenset({"cached_tokens", "prompt_cache_hit_tokens"})
"""Counts that make a bill smaller."""
_CLAIM = re.compile(rb'"(usage|(?:prompt|completion|total|input|output)_tokens)"\s*:')
_ESCAPED = re.compile(rb"\\u00[4-7]")
"""A letter of ASCII that nobody needs to escape: a name may be written with it."""


def is_count(tokens: Any) -> TypeGuard[int]:
    """Whether a claim can be a number of tokens."""
    return type(tokens) is int and tokens >= 0


def usage_of(prompt: Any, completion: Any, total: Any = None, thought: Any = None) -> Usage | None:
    """Two claims as a bill; None where they cannot be one, as with a prompt of no tokens.

    What `total` has beyond both counts as completion: so some servers bill the thoughts of a model. Those of more
    tokens than the completion are not within it, and count beside it.
    """
    if not (is_count(prompt) and is_count(completion) and prompt):
        return None
    if is_count(thought) and thought > completion:
        completion += thought
    if is_count(total):
        completion = max(completion, total - prompt)
    return min(prompt, MOST_TOKENS), min(completion, MOST_TOKENS)


def dearest(claims: Iterable[Any], name: str = "usage") -> Any:
    """Several claims about one thing as one, as of the parts of a stream: of each count the one that costs most."""
    best: Any = None
    for claim in claims:
        if isinstance(best, dict) and isinstance(claim, dict):
            best = {each: dearest((best.get(each), claim.get(each)), each) for each in best | claim}
        elif is_count(best) and is_count(claim):
            best = min(best, claim) if name in _REBATES else max(best, claim)
        elif claim is not None and not (is_count(best) or isinstance(best, dict)):
            best = claim
    return best


def load_json(body: bytes) -> Any:
    """A body as JSON. Of names of a bill that an object has twice, the dearer value counts."""
    value = json.loads(body)
    start = body.find(b'"usage"')
    names = _CLAIM.findall(body, start) if start >= 0 else []
    is_plain = len(names) == len(set(names)) and not _ESCAPED.search(body)
    return value if is_plain else json.loads(body, object_pairs_hook=_with_dearest)


def _with_dearest(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    twice = {name for name, count in counts.items() if count > 1 and (name == "usage" or name.endswith("_tokens"))}
    return dict(pairs) | {name: dearest((value for one, value in pairs if one == name), name) for name in twice}
