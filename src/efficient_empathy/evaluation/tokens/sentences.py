"""Sentences of lower-cased English text, and their words, token for token as NLTK's `NLTKWordTokenizer` has them.

Sentences are those of NLTK's Punkt where its data is found, else of a splitter that needs none. The conventions for
words are R. MacIntyre's (tokenizer.sed, Penn Treebank project, 1995) with NLTK's additions: typographic
quotes and dashes, runs of dots as one token, clitics as CoreNLP splits them. Their order matters: later rules see the
blanks that earlier ones set.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase
from typing import Literal

from efficient_empathy.foundation.errors import UserError, missing_extra

Splitter = Literal["auto", "nltk", "builtin"]
Split = Callable[[str], list[str]]

_QUOTES = "‘’“”«»"
INSIDE = rf"""[?!)";}}\]*:@'({{\[{_QUOTES}]"""
"""What parts words beside blanks."""
_RUN = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
_CANDIDATE = re.compile(rf"[.?!](?=({INSIDE}|\s+(\S+)))")
_TOKEN = re.compile(rf"{_RUN}|(?=[^(\"`{{\[:;&#*@)}}\]\-,])\S+?(?=\s|$|{INSIDE}|{_RUN}|,(?=$|\s|{INSIDE}|{_RUN}))|\S")
_NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*\.?")
_INITIAL = re.compile(r"[^\W\d]\.")
_CLOSING = re.compile(rf"""["')\]}}{_QUOTES}]+?(?:\s+|(?=--)|$)""", re.MULTILINE)
_DATA = ("punkt_tab", "punkt_tab.zip")
_BLANKS = " \t\n\r\x0b\x0c"

_TITLES = """
adm asst atty brig capt cdr cmdr col cpl det dr esq fr gen gov hon insp jr lt ltd maj messrs mr mrs ms mx msgr mssrs
ofc prof pvt rep reps rev sen sgt sr st supt treas
"""
_NAMES_OF_TIME = "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri a.m p.m a.d b.c"
_PLACES = """
ave blvd bldg ct dept hwy ft rd rte u.k u.s u.s.a u.n u.s.s.r d.c l.a n.y n.j n.c s.c n.h r.i n.m ala ariz ark
calif colo conn fla ga ill ind kan ky md mich minn mont neb nev ok okla ore pa penn tenn tex va vt wash wis wyo
"""
_FIRMS_AND_DEGREES = """
assn assoc bros co corp cos inc int'l llc l.l.c plc b.a m.a m.b.a m.s ph.d d.d.s j.d r.n c.e.o c.f.o
"""
_IN_PRINT = "approx avg cf ed eds eg est et al fig figs incl misc nos orig pp p.o ref resp vol vols vs w.r.t"
_MEASURES = "mg oz"

_ALL = (_TITLES, _NAMES_OF_TIME, _PLACES, _FIRMS_AND_DEGREES, _IN_PRINT, _MEASURES)
ABBREVIATIONS = frozenset(word for words in _ALL for word in words.split()) | frozenset(ascii_lowercase)
"""English words that the press writes with a full stop inside a sentence, lower-cased and without it.

Left out is what ends sentences more often in dialogue (etc., no., in., ex., min., hr.), and e.g., i.e., p.s., after
which the splitter to agree with ends one. It learnt from newspapers: "ok", "ill" and "pa" are Oklahoma, Illinois and
Pennsylvania.
"""


def splitter(name: Splitter = "auto") -> tuple[Split, str]:
    """The splitter called `name`, and what it is, in words for the reader of figures.

    `nltk` is the official procedure's: Punkt trained on English, as `nltk.download("punkt_tab")` installs it; `builtin`
    is `split`; `auto` is nltk where its data is found, else builtin. Raises `UserError` for nltk without its data.
    """
    if name == "nltk" or (name == "auto" and _may_have_data()):
        try:
            tokenize: Split = import_module("nltk.tokenize").sent_tokenize
            tokenize("Found. It is.")
            return tokenize, f"nltk {version('nltk')}, punkt_tab"
        except (ImportError, LookupError) as error:
            if name == "nltk" and isinstance(error, ImportError):
                raise missing_extra("--splitter nltk", "eval") from error
            if name == "nltk":
                raise UserError(
                    "NLTK's sentence data is not on this machine: run `python -m nltk.downloader punkt_tab`, or use "
                    "--splitter builtin"
                ) from error
    return split, "builtin"


def _may_have_data() -> bool:
    """Whether NLTK may find its data, told without importing it, which takes a second."""
    if "nltk" in sys.modules:
        return True
    places = os.environ.get("NLTK_DATA", "").split(os.pathsep)
    roots = [sys.prefix, "/usr", "/usr/local", *(os.environ.get(name, "") for name in ("APPDATA", "SystemDrive"))]
    usual = [Path(root, *inside) for root in roots if root for inside in ((), ("share",), ("lib",))]
    folders = [Path.home() / "nltk_data", *map(Path, filter(None, places)), *(path / "nltk_data" for path in usual)]
    return any((folder / "tokenizers" / name).exists() for folder in folders for name in _DATA)


def split(text: str) -> list[str]:
    """The sentences of `text`, as Punkt decides (Kiss & Strunk 2006, doi:10.1162/coli.2006.32.4.485) on lower case.

    A full stop ends a sentence unless the word is an abbreviation (`ABBREVIATIONS` in place of trained ones), or an
    initial or a number before a word in lower case or punctuation; an ellipsis does not; ? and ! do. What closes a
    quotation or bracket goes with the sentence before it. No word is taken for one that begins sentences or is often
    written large: in lower-cased text, the trained evidence decides that way for all but a few rare words.
    """
    spans = list(_spans(text))
    sentences: list[str] = []
    shift = 0
    for i, (start, stop) in enumerate(spans):
        start += shift
        shift = 0
        if i + 1 < len(spans):
            after = spans[i + 1][0]
            closing = _CLOSING.match(text[slice(*spans[i + 1])])
            if closing:
                stop, shift = after + len(closing.group().rstrip()), closing.end()
        if shift or text[start:stop]:
            sentences.append(text[start:stop])
    return sentences


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match, context in _candidates(text):
        if _breaks(context):
            yield start, match.end()
            start = match.start(2) if match.group(2) else match.end()
    yield start, len(text.rstrip())


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The last possible end of each word, with what decides: the word up to it and what comes after."""
    before: re.Match[str] | None = None
    start = stop = 0
    for match in _CANDIDATE.finditer(text):
        since = text[stop : match.start()]
        blank = max(since.rfind(char) for char in _BLANKS)
        begins = stop + blank + 1 if blank > 0 else start
        if before is not None and stop <= begins:
            yield before, text[start:stop] + before.group() + before.group(1)
        before, start, stop = match, begins, match.start()
    if before is not None:
        yield before, text[start:stop] + before.group() + before.group(1)


@lru_cache(maxsize=2**16)
def _breaks(context: str) -> bool:
    """Whether a token of `context`, other than the last, ends a sentence."""
    tokens = [token for line in context.split("\n") for token in _TOKEN.findall(line)]
    return any(_ends(token, after) for token, after in pairwise(tokens))


def _ends(token: str, after: str) -> bool:
    if token in (".", "?", "!"):
        return True
    if not token.endswith(".") or token.endswith(".."):
        return False
    word = token[:-1].lower()
    if word in ABBREVIATIONS or word.rpartition("-")[2] in ABBREVIATIONS:
        return False
    if after in (*";:,.!?",) or after[0].islower():
        return not (_INITIAL.fullmatch(token) or _NUMBER.fullmatch(token))
    return not (_INITIAL.fullmatch(token) and after[0].isupper())


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
_CLOSING_QUOTES = (
    (re.compile(r"[»”’]"), r" \g<0> "),
    (re.compile(r"''|\""), " '' "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"([^' ])('[sS]|'[mM]|'[dD]|') "), r"\1 \2 "),
    (re.compile(r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) "), r"\1 \2 "),
)
_CONTRACTION_PARTS = (
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
    for before, first, second, after in _CONTRACTION_PARTS
)

CONTRACTED = frozenset(first + second for _, first, second, _ in _CONTRACTION_PARTS)
"""Words that are two tokens."""


def words(sentence: str) -> list[str]:
    """The tokens of one sentence. A full stop is parted from its word only at the sentence's end."""
    for rule, replacement in (*_OPENING, *_PUNCTUATION):
        sentence = rule.sub(replacement, sentence)
    sentence = f" {sentence} "
    for rule, replacement in (*_CLOSING_QUOTES, *_CONTRACTIONS):
        sentence = rule.sub(replacement, sentence)
    return sentence.split()
