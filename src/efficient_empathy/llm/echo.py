"""What an error quotes of the request that it refuses: the text of a sample, which decides nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

_WORD = re.compile(r"[a-z0-9_]+")  # what errors are told apart by is written in these letters
_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")  # of JSON within JSON
_QUOTED = re.compile(r"""(?<!\w)['"`\u201c\u2018]([^'"`\u201d\u2019]{1,80})['"`\u201d\u2019](?!\w)""")
_PHRASE = re.compile(
    r"""(?<![\w({\[])(?<!['"]:\ )  # no value of an object or a list: so one server repeats another's words
    (?:'[^'"{}]{5,400}'|\u201c[^\u201d{}]{5,400}\u201d|\u2018[^\u2019{}]{5,400}\u2019)(?!\w)""",
    re.X,
)
_RUN = 3
"""So many words in a row that the request's texts have too are quoted from there."""
_RUN_OF_BODY = 8
"""So many that its JSON has in a row: its own names are what errors speak of."""


def texts_of(fields: Mapping[str, Any]) -> list[str]:
    """The texts of a request's messages."""
    return list(_strings([fields.get("system"), fields.get("messages")]))


def without_echo(words: str, texts: Iterable[str], fields: Mapping[str, Any]) -> str:
    """`words` without what they quote of `texts`: three words or more, or fewer in quotation marks.

    A phrase of three words or more in single or curly quotation marks is a quotation wherever it is from, and so are
    eight words of the JSON of `fields`, the request's. An error that quotes the name of one of them may mean it.
    """
    own = [word for text in texts for word in (*_WORD.findall(text.lower()), "")]
    body = _WORD.findall(_ESCAPE.sub(" ", json.dumps(fields).lower()))
    lower = _ESCAPE.sub(lambda escape: " " * len(escape[0]), words.lower())
    matches = list(_WORD.finditer(lower)) if len(lower) == len(words) else []
    echoed = [False] * len(matches)
    for source, run in ((own, _RUN), (body, _RUN_OF_BODY)):
        runs = set(zip(*(source[start:] for start in range(run)), strict=False))
        for start in range(len(matches) - run + 1):
            if tuple(match[0] for match in matches[start : start + run]) in runs:
                echoed[start : start + run] = [True] * run
    letters = list(words)
    for match, is_echo in zip(matches, echoed, strict=True):
        if is_echo:
            letters[match.start() : match.end()] = " " * (match.end() - match.start())
    rest = _PHRASE.sub(lambda phrase: " " if len(phrase[0].split()) >= _RUN else phrase[0], "".join(letters))
    line = f" {' '.join(own)} "
    return _QUOTED.sub(lambda quote: " " if _is_echo(quote[1], line, fields) else quote[0], rest)


def _is_echo(quote: str, line: str, names: Collection[str]) -> bool:
    words = _WORD.findall(quote.lower())
    return bool(words) and quote not in names and f" {' '.join(words)} " in line


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
