"""Whether a reply without scores declines to judge, or only speaks of somebody who does.

Dialogues are full of "I'm sorry" and "I can't", and judges quote them. A refusal is a sentence of the judge's own that
begins by declining to do what a judge is asked to do.
"""

from __future__ import annotations

import re

from efficient_empathy.llm.thought import strip_thoughts

_QUOTES = re.compile(
    r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|「[^」\n]*」|(?<!\w)['‘](?:[^'’\n]|['’](?=\w))*['’](?!\w)|^[ \t]*>.*$"
    r"|^[ \t]*(?:speaker|listener|user|assistant|response|context)[ \t]*:.*$",
    re.IGNORECASE | re.MULTILINE,
)
_ASKED = (
    "(?:assist|help|comply|provid|rat|evaluat|judg|scor|assess|grad|fulfil|fulfill|continu|proceed|complet|respond|answer|"
    "engag|participat|process|giv|offer|assign|analy[sz]|support|produc|generat)(?:e|ing)?"
)
_SORRY = (
    r"(?:(?:i['’]?m|i am|we['’]?re|we are)\s+(?:\w+\s+)?(?:sorry|afraid)|sorry|my apologies|(?:i|we) apologi[sz]e|"
    r"unfortunately|(?:i|we) (?:appreciate|understand)[^.!?\n]{0,80})"
)
_AI = r"as an? (?:ai|artificial intelligence|(?:large )?language model|responsible ai)\b[^.!?\n]{0,60}?"
_UNABLE = (
    r"(?:i|we)(?:['’]m|['’]re| am| are)?\s+(?:must |have to |need to |will have to )?"
    r"(?:can['’]?t|can ?not|won['’]?t|will not|could not|couldn['’]?t|do not|don['’]?t"
    r"|am not|not|unable|decline|refuse|prefer not)"
)
_ABLE = r"(?:\s+(?:able|going|willing|comfortable|feel comfortable|wish|want|in good conscience|ethically))?"
_REFUSAL = re.compile(
    rf"(?:{_SORRY}[\s,:;.!–—-]*(?:but |however,? |that )?\s*)?(?:{_AI}[\s,]*)?{_UNABLE}{_ABLE}\s+(?:to\s+|with\s+)?"
    rf"(?:\w+ly\s+)?{_ASKED}\b(?!\s+(?:but|feeling|noticing|wondering|worrying|thinking))"
    rf"|{_SORRY}?[\s,:;–—-]*(?:but )?(?:this|that|it|the) [^.!?\n]{{0,60}}\b(?:violates|goes against|is against)\s+"
    r"(?:\w+\s+)?(?:my|our|the|usage|content|safety)\b[^.!?\n]*(?:polic|guideline|principle)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?:\A|(?<=[.!?])\s+|\n)[\s*_#>-]*(?=\S)")

LONGEST = 4000
"""So many characters are looked at: who declines does so soon."""


def is_refusal(reply: str) -> bool:
    """Whether a sentence of the reply, beside its thoughts and what it quotes, declines to judge (in English)."""
    text = strip_thoughts(reply).text.strip()[:LONGEST]
    text = _QUOTES.sub(lambda quote: " " * len(quote[0]), text)
    return any(
        _REFUSAL.match(text, start.end())
        for start in _SENTENCE.finditer(text)
        if not text[: start.start()].rstrip().endswith(":")
    )
