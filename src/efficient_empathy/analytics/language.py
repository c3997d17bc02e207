"""Which language a text is in: by the script of its letters, and in Latin letters by common words.

Made to find what is clearly out of place in a run, not to name every language: a text that gives too little evidence is
of no language, and is never flagged.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import numpy.typing as npt

from efficient_empathy.analytics.stopwords import STOPWORDS
from efficient_empathy.analytics.texts import Words

UNKNOWN = ""
SCRIPTS = {
    "CYRILLIC": "cyrillic", "ARABIC": "arabic", "HEBREW": "hebrew", "GREEK": "greek", "DEVANAGARI": "devanagari",
    "BENGALI": "bengali", "TAMIL": "tamil", "THAI": "thai", "HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja",
    "CJK": "zh", "ARMENIAN": "armenian", "GEORGIAN": "georgian", "LATIN": "latin",
}  # fmt: skip
"""From the first word of a letter's Unicode name; scripts that several languages use are called by their own name."""
LEAST_HITS, LEAST_SHARE, MARGIN = 2.0, 0.2, 1.5
"""Latin letters are of the language whose stopwords make two hits, a fifth of the text, and half as many again as any
other's; a word that k languages share is 1/k of a hit to each."""
LEAST_LETTERS = 2
_LANGUAGES = tuple(STOPWORDS)
_KINDS = tuple(dict.fromkeys(SCRIPTS.values()))


def languages(split: Words) -> list[str]:
    """Of each text a code of `STOPWORDS`, a name of `SCRIPTS`, or `UNKNOWN`."""
    letters, hits = _vocabulary(split.vocabulary)
    by_script, by_language = _sums(split, letters), _sums(split, hits)
    found = []
    for counts, scores, length in zip(by_script, by_language, split.lengths, strict=True):
        script = _KINDS[int(counts.argmax())]
        if counts[_KINDS.index("ja")] and script == "zh":
            script = "ja"  # Japanese writes most of its nouns in Chinese letters
        if counts.sum() < LEAST_LETTERS:
            found.append(UNKNOWN)
        else:
            found.append(script if script != "latin" else _latin(scores, int(length)))
    return found


def commonest(found: list[str]) -> str:
    """The language of most texts that have one; `UNKNOWN` of none."""
    counts = Counter(one for one in found if one != UNKNOWN)
    return max(sorted(counts), key=counts.__getitem__, default=UNKNOWN)


def _latin(scores: npt.NDArray[np.float64], length: int) -> str:
    order = np.argsort(-scores, kind="stable")
    best, second = scores[order[0]], scores[order[1]]
    if best < LEAST_HITS or best < LEAST_SHARE * length or best < MARGIN * second:
        return UNKNOWN
    return _LANGUAGES[int(order[0])]


def _vocabulary(vocabulary: list[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each word its letters by script, and what it is worth to each language."""
    letters = np.zeros((len(vocabulary), len(_KINDS)))
    hits = np.zeros((len(vocabulary), len(_LANGUAGES)))
    scripts: dict[str, int] = {}
    for row, word in enumerate(vocabulary):
        for letter in word:
            if letter not in scripts:
                name = unicodedata.name(letter, "").split(" ")[0]
                scripts[letter] = _KINDS.index(SCRIPTS[name]) if letter.isalpha() and name in SCRIPTS else -1
            if scripts[letter] >= 0:
                letters[row, scripts[letter]] += 1
        owners = [i for i, language in enumerate(_LANGUAGES) if word.replace("’", "'") in STOPWORDS[language]]
        hits[row, owners] = 1 / len(owners) if owners else 0
    return letters, hits


def _sums(split: Words, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rows = split.rows
    columns = [np.bincount(rows, values[split.codes, k], len(split)) for k in range(values.shape[1])]
    return np.stack(columns, 1)
