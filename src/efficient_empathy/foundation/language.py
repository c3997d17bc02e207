"""Which language a text is in, by py3langid (extra `language`): an ISO 639-1 code, and none where it is unsure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from efficient_empathy.foundation.errors import missing_extra

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

EXTRA, LIBRARY = "language", "py3langid"
CONFIDENCE = 0.6
"""The least probability of a text's language. docs/analytics.md has what was measured with it."""
LONGEST = 1_000
"""Only so many characters of a text are read: more add no evidence, only time."""
MACROLANGUAGES = {
    "ary": "ar", "arz": "ar", "fuv": "ff", "gug": "gn", "kik": "ki", "ltg": "lv", "sdh": "ku", "uzs": "uz",
    "wuu": "zh", "yue": "zh",
}  # fmt: skip
"""The model's languages that ISO 639-1 has under another code, most as parts of a macrolanguage (ISO 639-3)."""


def available() -> bool:
    """Whether the extra is installed."""
    return find_spec(LIBRARY) is not None


def languages(texts: Sequence[str]) -> list[str | None]:
    """The ISO 639-1 code of the language of each text; None where that is unsure, or has no such code.

    Short texts, names, numbers and emoji give too little evidence. Each distinct text is looked at once. The model
    takes about 100 MB and is loaded at the first text. Raises `UserError` without the extra.
    """
    if not available():
        raise missing_extra("the language of a text", EXTRA)
    codes = {text: _language(text) for text in dict.fromkeys(text[:LONGEST] for text in texts)}
    return [codes[text[:LONGEST]] for text in texts]


def _language(text: str) -> str | None:
    label, share = _identifier().classify(text)
    code = MACROLANGUAGES.get(label, label)
    if share < CONFIDENCE and code in MACROLANGUAGES.values():
        share = sum(share for part, share in _identifier().rank(text) if MACROLANGUAGES.get(part, part) == code)
    return code if len(code) == 2 and share >= CONFIDENCE else None


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
