"""Whether the listener speaks as a machine: refuses, says that it is an AI, or offers its services.

People say "I can't imagine" and "I'm sorry, I can't come" too. What counts is declining what a model is asked for, a
model's own name for itself, and the phrases of a help desk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders import normalise
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import listener_texts, samples_of

_AI = re.compile(
    r"""
    \b(?:as|being|i\ am)\ (?:just\ |only\ |merely\ |simply\ |still\ )*(?:an?\ |the\ |your\ )?(?:
        artificial\ intelligence | (?:ai\ |large\ )*language\ model | llm | chat\ ?bot | computer\ program | chatgpt
        | (?:ai|virtual|digital|automated|text-based)(?:\ ai)?\ (?:model|assistant|companion|listener|chatbot|system
            |being|entity|program|tool)
        | ai (?!\s(?:\w+\s)?(?:engineer|researcher|developer|student|expert|scientist|artist|consultant|specialist
            |company|lab|team|class)) | machine\ learning\ model
    )\b
    | \bmy\ (?:programming|training\ data|knowledge\ cutoff|safety\ guidelines|developers|content\ policy)\b
    | \bi\ (?:do\ not|can\ not|lack)\ (?:(?:actually|really)\ )?(?:have\ |possess\ |experience\ |feel\ )?(?:any\ )?(?:
        (?:the\ )?ability\ to\ (?:feel|experience)\b | personal\ (?:feelings|emotions|experiences?|opinions|beliefs)\b
        | (?:human\ )?(?:feelings|emotions)\ (?:or\ (?:emotions|feelings|experiences|consciousness)
            | (?:like|as|in\ the\ way)\ (?:a\ |that\ )?(?:humans?|people))
        | human\ emotions | a\ physical\ (?:body|form)
    )
    | \bi\ (?:was|am|have\ been)\ (?:trained|programmed|designed)\ (?:by|on|to)\b
    | \b(?:open\ ?ai|anthropic|chatgpt)\b
    """,
    re.VERBOSE,
)
_REFUSES = re.compile(
    r"""
    \bi\ (?:\w+ly\ )?(?:am\ )?(?:\w+ly\ )?(?:must\ |have\ to\ |need\ to\ )?(?:
        can\ not | could\ not | will\ not(?:\ be\ able)? | do\ not | decline | refuse | unable | prohibited
        | not\ (?:able|allowed|permitted|designed|programmed|equipped|qualified|comfortable|going)
    )\ (?:to\ |from\ |with\ )?(?:\w+ly\ )?(?:
        (?:fulfil|comply|complete|process|generat|creat|writ|produc|engag|continu|respond|answer|discuss|participat
            |assist|help|provid|proceed|support|offer)\w*\b[^.!?\n]{0,40}?\b(?:this|that|your|such|the|these|any)
            (?:\ \w+){0,2}\ (?:requests?|prompts?|conversation|dialogue|task|topic|instructions?|content|queries|query
            |scenario|role-?play|type\ of|kind\ of)\b
        | provid\w+\ (?:you\ )?(?:with\ )?(?:the\ |any\ )?(?:help|support|assistance|medical|legal|professional
            |mental\ health|financial|therapeutic|explicit|harmful|personal)
        | (?:give|offer)\ (?:you\ )?(?:any\ )?(?:medical|legal|professional|mental\ health|financial)\ (?:advice|help)
        | assist\ (?:you\ )?(?:with|in)\ (?:this|that)\b | comply\b | (?:fulfill?|complete)\ (?:this|that|your)\b
        | help\ (?:you\ )?with\ (?:that|this)(?=\s?[.!]|$)
        | (?:generat\w+|creat\w+|writ\w+|produc\w+|engag\w+\ in|role-?play\w*)\ (?:\w+\ ){0,3}(?:content|conversations?
            |dialogues?|responses?|stories|discussions?|material|texts?)\b
    )
    | \b(?:violates?|against)\ (?:my|our|the|openai|content|usage)\ (?:\w+\ )?(?:polic|guideline|principle)
    | \bi\ (?:must\ |have\ to\ )?(?:respectfully\ |politely\ )(?:decline|refuse)\b
    | \bi\ (?:must|have\ to|need\ to)\ decline\ to\ (?:answer|respond|reply|discuss|comment|help|assist|continue)\b
    | \b(?:not\ (?:be\ )?appropriate|inappropriate|unethical)\ for\ me\ to\b
    """,
    re.VERBOSE,
)
_ASSISTANT = re.compile(
    r"""
    \b(?:how|what)\ (?:can|may|could)\ i\ (?:assist|help)\ you\ (?:today|further|with)\b
    | \bhow\ (?:can|may)\ i\ (?:be\ of\ (?:assistance|service)|assist)\b
    | \b(?:anything|something)\ else\ (?:that\ )?i\ can\ (?:assist|(?:help|do)\ (?:you\ )?(?:with|for|today))\b
    | \bi\ am\ here\ to\ (?:assist|provide|answer|offer\ (?:support|assistance))\b
    | \b(?:happy|glad|pleased)\ to\ (?:assist|be\ of\ (?:assistance|service))\b
    | \bassist\ you\ (?:today|further|with)\b
    | \b(?:feel\ free\ to|do\ not\ hesitate\ to|please)\ (?:ask|reach\ out|contact|let\ me\ know)\b[^.!?\n]{0,50}
        \b(?:questions?|assistance|further)\b
    | ^\W*(?:certainly|absolutely|sure|of\ course)[!,.]\ (?:here\ is|here\ are|i\ can\ help\ you\ with
        |i\ would\ be\ (?:happy|glad)\ to\ (?:help|assist)|let\ me\ (?:assist|provide))\b
    | \bthank(?:s|\ you)\ for\ (?:contacting|reaching\ out\ to)\ (?:us|our)\b
    """,
    re.VERBOSE,
)
VOICES = ((_AI, "speaks as an AI"), (_REFUSES, "refuses"), (_ASSISTANT, "speaks as an assistant"))
"""What is looked for in normalised text, and what it is called; the first that is found is the reason."""
MOST_REAL, USUAL = 1_000, 0.01
"""A voice that so large a share of real samples has, looked for in so many of them, is no fault of a candidate."""


class Refusal:
    """Drops samples in which the listener, in the response or before, speaks as a machine (in English).

    A voice that the seed's listener has too, or that is usual in the real data, stays.
    """

    name = "refusal"
    remedy = "a prompt that says whose part the model plays, or another model"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        some = context.real[:: max(1, len(context.real) // MOST_REAL)]
        counts = Counter(voice for sample in some for voice in _voices(sample))
        self._usual = {voice for voice, count in counts.items() if count >= USUAL * len(some)}

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The reason says in which way; there is no figure."""
        verdicts = []
        for candidate, sample in zip(candidates, samples_of(candidates), strict=True):
            voices = [voice for voice in _voices(sample) if voice not in self._usual]
            own = _voices(candidate.seed) if voices and candidate.seed else []
            verdicts.append(Verdict(next((voice for voice in voices if voice not in own), "")))
        return verdicts


def machine_voices(text: str) -> list[str]:
    """In which ways a turn is a machine's, none where it may be a person's."""
    spoken = normalise(text)
    return [reason for pattern, reason in VOICES if pattern.search(spoken)]


def _voices(sample: Sample) -> list[str]:
    return list(dict.fromkeys(voice for text in listener_texts(sample) for voice in machine_voices(text)))
