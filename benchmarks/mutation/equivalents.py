"""Mutants that no test can tell from the program: three kinds of them by rule, the others one by one, with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml


def is_equivalent(file: str, change: str) -> bool:
    """Whether a change, given as the lines of a diff, makes no difference."""
    pair = _pair(change)
    return (pair is not None and any(same(*pair) for same in (_same_sql, _same_zip, _same_encoding))) or (
        file,
        change,
    ) in _listed()


def obsolete(found: Iterable[tuple[str, str]]) -> list[str]:
    """The listed ones, as file and change, that are none of those found in the files that these are of."""
    found = set(found)
    files = {file for file, _ in found}
    return [f"{file}\n{change}" for file, change in _listed() if file in files and (file, change) not in found]


def _pair(change: str) -> tuple[str, str] | None:
    """The one line before and after, of a change that has no more."""
    lines = change.splitlines()
    return (lines[0][2:], lines[1][2:]) if [line[:1] for line in lines] == ["-", "+"] else None


def _same_sql(before: str, after: str) -> bool:
    """Names and keywords of SQL are the same in either case, and only what stands in single quotes is not."""
    if not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|PRAGMA|BEGIN|COMMIT|ROLLBACK)\b", before):
        return False
    literals = [re.findall(r"'[^']*'", text) for text in (before, after)]
    return before.casefold() == after.casefold() and literals[0] == literals[1]


def _same_zip(before: str, after: str) -> bool:
    """`strict` of `zip` guards against a slip in the program: no input makes the lengths differ."""
    return re.sub(r", strict=(True|False|None)|, (?=\))", "", before) == re.sub(
        r", strict=(True|False|None)|, (?=\))", "", after
    )


def _same_encoding(before: str, after: str) -> bool:
    """Names of encodings are the same in either case; and where the tests run, on Linux, UTF-8 is the default."""
    return before != after and re.sub(r'"utf-8"', "", before) in (
        re.sub(r'"UTF-8"', "", after),
        re.sub(r"(?<=[(, ])None(?=\))", "", after),
        re.sub(r", \)", ", )", after),
    )


@cache
def _listed() -> dict[tuple[str, str], str]:
    entries = yaml.safe_load((Path(__file__).parent / "equivalent.yaml").read_text("utf-8")) or []
    return {(entry["file"], entry["change"].strip()): entry["reason"] for entry in entries}
