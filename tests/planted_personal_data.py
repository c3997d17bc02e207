"""The 400 planted texts, and how well the scan finds what is planted. As a script it prints both halves."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.dialogues.personal_data import KINDS, personal_findings

PLANTED = Path(__file__).parent / "dialogues" / "personal_data" / "planted.jsonl"
HALVES = ("tuning", "held-out")
_TAG = re.compile(rf"<(/?)({'|'.join(KINDS)})>")


@dataclass
class Planted:
    """A text, and the spans of personal data in it."""

    half: str
    text: str
    spans: list[tuple[str, int, int]] = field(default_factory=list)


def planted(half: str | None = None) -> Iterator[Planted]:
    for line in PLANTED.read_text("utf-8").splitlines():
        row = json.loads(line)
        if half in (None, row["half"]):
            yield _parse(row["half"], row["text"])


def _parse(half: str, marked: str) -> Planted:
    one, end = Planted(half, ""), 0
    for tag in _TAG.finditer(marked):
        one.text += marked[end : tag.start()]
        end = tag.end()
        if tag[1]:
            kind, start, _ = one.spans.pop()
            one.spans.append((kind, start, len(one.text)))
        else:
            one.spans.append((tag[2], len(one.text), -1))
    one.text += marked[end:]
    return one


def measure(half: str) -> dict[str, tuple[int, int, int, int]]:
    """By kind: spans found whole, spans, findings that meet a span of their kind, findings."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in planted(half):
        findings = personal_findings(one.text)
        for kind, start, end in one.spans:
            counts[kind, "spans"] += 1
            counts[kind, "whole"] += any(f.kind == kind and f.start <= start and end <= f.end for f in findings)
        for f in findings:
            counts[f.kind, "findings"] += 1
            counts[f.kind, "right"] += any(
                k == f.kind and f.start < end and start < f.end for k, start, end in one.spans
            )
    names = ("whole", "spans", "right", "findings")
    return {kind: tuple(counts[kind, name] for name in names) for kind in KINDS}  # type: ignore[misc]


if __name__ == "__main__":
    for name in HALVES:
        print(f"\n{name}\nkind        recall         precision")
        for kind, (whole, spans, right, findings) in measure(name).items():
            print(
                f"{kind:10}  {whole:2} of {spans:2} {whole / spans:.2f}",
                f" {right:2} of {findings:2} {right / findings:.2f}",
            )
