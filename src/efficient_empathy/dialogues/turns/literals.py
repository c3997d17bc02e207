"""Lists that stand as text in a cell: JSON, or what Python and numpy print."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

MAX_CHARACTERS = 2_000_000
"""The longest Python list that is read; JSON has no such limit, since it is read in one pass."""
_MAX_BRACKETS = 50_000
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_GAP = re.compile(rf"({_STRING}|[}}\])])(\s+(?=['\"{{\[(]))?", re.DOTALL)
_ARRAY = re.compile(r"(?:np\.|numpy\.)?array\((?=\[)")
_ARRAY_END = re.compile(r"(?:,\s*dtype=[^()]*)?\)")


def parse_list(text: str) -> list[Any] | None:
    """The list that `text` is as JSON, as Python writes it, or as numpy does, without commas; None if it is none."""
    text = text.strip()
    if not text.startswith(("[", "array(", "np.array(", "numpy.array(")) or not text.endswith(("]", ")")):
        return None
    if text.startswith("["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list):
            return value
    return _parse_python(text)


def looks_like_list(text: str) -> bool:
    """Whether a text that `parse_list` cannot read was meant as a list: it begins and ends as one."""
    return re.match(r"\s*\[\s*['\"{]", text) is not None and re.search(r"['\"}]\s*\]\s*\Z", text) is not None


def _parse_python(text: str) -> list[Any] | None:
    if len(text) > MAX_CHARACTERS or text.count("[") + text.count("{") + text.count("(") > _MAX_BRACKETS:
        return None
    if array := _ARRAY.match(text):
        end = next(iter(reversed([*_ARRAY_END.finditer(text)])), None)
        text = text[array.end() : end.start()] if end and end.end() == len(text) else text
    with_commas = _GAP.sub(lambda found: found[1] + ("," + found[2] if found[2] else ""), text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a lone backslash in a text is no matter of this program
            value = ast.literal_eval(with_commas)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else list(value) if isinstance(value, tuple) else None
