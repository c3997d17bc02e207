"""The words of a sentence by the Penn Treebank's conventions, token for token as NLTK's `NLTKWordTokenizer` has them.

The conventions are R. MacIntyre's (tokenizer.sed, Penn Treebank project, 1995) with NLTK's additions: typographic
quotes and dashes, runs of dots as one token, clitics as CoreNLP splits them. Their order matters: later rules see the
blanks that earlier ones set.
"""

from __future__ import annotations

import re

CLOSERS = "])}>\"'»”’"
"""What may stand between a sentence's full stop and its end."""

_CLITICS_KEPT = r"(?:re|ve|ll|m|t|s|d|n)\b"
_OPENING = (
    (re.compile(r"[«“‘„]|`+"), r" \g<0> "),
    (re.compile(r'^"'), "``"),
    (re.compile(r"``"), " `` "),
    (re.compile(r"""([ (\[{<])(?:"|'')"""), r"\1 `` "),
    (re.compile(rf"(?<!\w)'(?!{_CLITICS_KEPT})(?=\w)", re.IGNORECASE), "' "),
)
_PUNCTUATION = (
    (re.compile(rf"([^.])\.([{re.escape(CLOSERS)} ]*+)\s*$"), r"\1 . \2 "),
    (re.compile(r"([:,])(\D)"), r" \1 \2"),
    (re.compile(r"[:,]$"), r" \g<0> "),
    (re.compile(r"\.{2,}|[;@#$%&?!\u2012-\u2015]"), r" \g<0> "),
    (re.compile(r"([^'])' "), r"\1 ' "),
    (re.compile(r"--|[*(){}<>\[\]]"), r" \g<0> "),
)
_CLOSING = (
    (re.compile(r"[»”’]"), r" \g<0> "),
    (re.compile(r"''|\""), " '' "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"([^' ])('[sS]|'[mM]|'[dD]|') "), r"\1 \2 "),
    (re.compile(r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) "), r"\1 \2 "),
)
_JOINED = (
    (r"\b", "can", "not", r"\b"),
    (r"\b", "d", "'ye", r"\b"),
    (r"\b", "gim", "me", r"\b"),
    (r"\b", "gon", "na", r"\b"),
    (r"\b", "got", "ta", r"\b"),
    (r"\b", "lem", "me", r"\b"),
    (r"\b", "more", "'n", r"\b"),
    (r"\b", "wan", "na", r"(?=\s)"),
    (" ", "'t", "is", r"\b"),
    (" ", "'t", "was", r"\b"),
)
_CONTRACTIONS = tuple(
    (re.compile(f"{before}({first})({second}){after}", re.IGNORECASE), r" \1 \2 ")
    for before, first, second, after in _JOINED
)

CONTRACTED = frozenset(first + second for _, first, second, _ in _JOINED)
"""Words that are two tokens."""


def words(sentence: str) -> list[str]:
    """The tokens of one sentence. A full stop is parted from its word only at the sentence's end."""
    for rule, replacement in (*_OPENING, *_PUNCTUATION):
        sentence = rule.sub(replacement, sentence)
    sentence = f" {sentence} "
    for rule, replacement in (*_CLOSING, *_CONTRACTIONS):
        sentence = rule.sub(replacement, sentence)
    return sentence.split()
