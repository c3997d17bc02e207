"""What makes two judgings comparable: how replies were asked for, and what read them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.judges.llm import DECODING
from efficient_empathy.scoring.judges.registry import reads_replies

_PARSED_BY = ("llm/thought.py", "scoring/parser.py", "scoring/judges/logprobs.py")


def parser_hash() -> str:
    """SHA-256 over the source of what reads replies, first 16 hexadecimal digits: any edit there is another parser."""
    digest = hashlib.sha256()
    for name in _PARSED_BY:
        digest.update((files("efficient_empathy") / name).read_bytes())
    return digest.hexdigest()[:16]


def decoding_of(spec: JudgeSpec | None) -> dict[str, Any] | None:
    """How a judge's replies are asked for; None for a judge that is not asked in words."""
    settings = spec.settings if spec else {}
    return {name: settings[name] for name in DECODING if name in settings} or None


def read_by(spec: JudgeSpec | None) -> str | None:
    """`parser_hash` for a judge whose replies are parsed; None for one that answers in numbers."""
    return parser_hash() if spec is not None and reads_replies(spec.judge) else None


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What keeps two judgings from being compared: `{"what", "now", "before", "remedy"}` each.

    Both are results or manifests. Looks at `corpus`, the rubric's `axes`, `parser` and `decoding`; what either does not
    know is not compared, so that an LLM can be held against people, or against the distilled judge.
    """
    axes = {key: (told.get("rubric") or {}).get("axes") for key, told in (("now", now), ("before", before))}
    pairs = [
        ("corpus", now["corpus"], before["corpus"], "take a baseline that was made with the same golden set"),
        ("axes", axes["now"], axes["before"], "take a rubric with the same axes and scales"),
        ("parser", now["parser"], before["parser"], "judge the baseline again with this version"),
    ]
    mine, theirs = now.get("decoding") or {}, before.get("decoding") or {}
    for key in [name for name in mine if name in theirs]:
        option = f"--{key.replace('_', '-')}"
        pairs.append((f"decoding: {key}", mine[key], theirs[key], f"ask with {option} {_plain(theirs[key])}"))
    return [
        {"what": what, "now": one, "before": other, "remedy": remedy}
        for what, one, other, remedy in pairs
        if one is not None and other is not None and _plain(one) != _plain(other)
    ]


def _plain(value: Any) -> Any:
    """Ranges as lists, as JSON has them, and numbers as text, so that 0 is 0.0."""
    if isinstance(value, Mapping):
        return {key: list(ends) for key, ends in value.items()}
    return f"{value:g}" if isinstance(value, float) else str(value)
