"""Whether a candidate is a dialogue and nothing but one: no label, JSON, placeholder, token or prompt is left in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from efficient_empathy.dialogues import Sample
from efficient_empathy.dialogues.turns.labels import inline_labels, labels_of
from efficient_empathy.dialogues.turns.roles import RoleTable
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import plain, runs, words_of

ECHO = 7
"""So many words in a row that the prompt's own text has are an echo of it."""
REPEATED_WORDS = 4
"""A turn of so many words that stands twice in a sample is a repetition; shorter ones come again by nature."""
_TOKEN = re.compile(
    r"""
    <[|｜][^<>|｜\n]{1,40}[|｜]> | \[/?INST\] | <</?SYS>> | </?s> | <(?:bos|eos|pad|unk|mask|sep|cls)>
    | \[(?:CLS|SEP|PAD|UNK|MASK|EOS)\] | </?(?:start|end)_of_turn>
    | <<< | >>>
    | </?(?:think|thinking|answer|dialogue|conversation|output|response|context)>
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FENCE = re.compile(r"```|~~~")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufffd]")
_BLANK = "(?:first |last |company )?name|friend|city|town|place|location|date|company|pet|age|number|topic|emotion"
_PLACEHOLDER = re.compile(
    rf"""
    \[(?:[A-Z][\w'’ /-]{{0,40}} | (?:insert|your|my|his|her|their|the|speaker|listener|{_BLANK})\b[\w'’ /-]{{0,40}})\]
    | <(?:insert\ [\w'’ ]+ | (?:your\ |my\ |the\ )?(?:{_BLANK}))> | \{{\{{?[\w .]{{1,40}}\}}?\}} | \(insert\ [\w'’ ]+\)
    | _{{3,}}
    """,
    re.VERBOSE,
)
_JSON = re.compile(
    r"""[{\[]\s*["'] | ["']\s*[}\]] | ["'][\w ]{1,30}["']\s*:\s*["'\[{] | [{}]\s*, | \\n | \\" | \\u[0-9a-f]{4}""",
    re.VERBOSE,
)
_HEADING = re.compile(r"^\s*(?:\#{1,6}\s|\*\*[\w ]+:?\*\*:?\s|-{3,}\s*$|={3,}\s*$)", re.MULTILINE)
_NUMBERED = re.compile(
    r"""
    (?:^|[\s(\[*])(?:speaker|listener|person|user|participant|turn|round|utterance|situation|emotion
    |(?:new\ |rewritten\ )?(?:context|response|dialogue))[ _]?(?:\d{1,2}|[AB])?[)\]*]*\s*[:：](?=[\s*]|$)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ABOUT_TASK = re.compile(
    r"""
    \b(?:here(?:['’]s|\ is|\ are)|below\ is|this\ is)\ (?:the|a|an|my|your|one|another)\ (?:[\w-]+\ ){0,3}
    (?:conversation|dialogue|dialog|rewrite|rewritten|version|sample|json|output|response|reply|example)\b
    | \bnote:\ (?:this|the|i)\b | \bword\ count\b | \b(?:under|at\ most|within)\ \d+\ words\b
    | \brewritten\ (?:conversation|dialogue|context|response|version)\b | \b(?:json|valid)\ (?:object|format|array)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
LEFTOVERS = (
    (_TOKEN, "template token"),
    (_FENCE, "code fence"),
    (_CONTROL, "control character"),
    (_PLACEHOLDER, "placeholder"),
    (_JSON, "JSON in a turn"),
    (_HEADING, "markup in a turn"),
    (_ABOUT_TASK, "speaks about the task"),
)
"""What no turn of a dialogue has, and what it is called; the first that is found is the reason."""
_ROLES = RoleTable({})


class Format:
    """Drops what could not be read as a sample, and samples whose turns are not in order or hold more than speech."""

    name = "format"
    remedy = "another prompt or model, or more --max-new-tokens"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        self._runs = {
            generator: {run for text in texts for run in runs(words_of(text), ECHO)}
            for generator, texts in context.templates.items()
        }

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The reason is the candidate's own fault, or the first that is found; there is no figure."""
        return [Verdict(self._fault(candidate)) for candidate in candidates]

    def _fault(self, candidate: Candidate) -> str:
        sample = candidate.sample
        if sample is None:
            return candidate.fault or "no sample in the reply"
        return (
            turn_fault(sample)
            or _leftover(candidate, sample)
            or self._echo(candidate, sample)
            or _repetition(candidate, sample)
        )

    def _echo(self, candidate: Candidate, sample: Sample) -> str:
        templates = self._runs.get(candidate.generator)
        if templates and any(not templates.isdisjoint(runs(words_of(text), ECHO)) for text in sample.texts()):
            return "echo of the prompt"
        return ""


def turn_fault(sample: Sample) -> str:
    """What is wrong with the order of a sample's turns, empty where nothing is."""
    roles = [turn.role for turn in sample.context]
    if not roles:
        return "no context"
    if any(role != ("speaker", "listener")[place % 2] for place, role in enumerate(roles)) or roles[-1] != "speaker":
        return "turns out of order"
    if not _says_something(sample.response):
        return "empty response"
    return "empty turn" if not all(_says_something(turn.text) for turn in sample.context) else ""


def _says_something(text: str) -> bool:
    """Whether it has a letter, a number, or a sign such as an emoji."""
    return any(unicodedata.category(char)[0] in "LNS" for char in text)


def _leftover(candidate: Candidate, sample: Sample) -> str:
    found = [one for text in sample.texts() for one in _marks(text)]
    if found and candidate.seed is not None:
        own = {one for text in candidate.seed.texts() for one in _marks(text)}
        found = [one for one in found if one not in own]
    return found[0][1] if found else ""


def _marks(text: str) -> Iterator[tuple[str, str]]:
    """Each leftover of a text, and what it is called."""
    if ":" in text or "：" in text or "#" in text:
        labels = [*labels_of(text, _ROLES), *inline_labels(text, _ROLES, upper=False)]
        if any(label.meaning is not None for label in labels) or _NUMBERED.search(text):
            yield "label", "role label in a turn"
    for pattern, reason in LEFTOVERS:
        for match in pattern.finditer(text):
            yield match[0], reason


def _repetition(candidate: Candidate, sample: Sample) -> str:
    is_own = candidate.seed is not None and _repeats(candidate.seed)
    return "the same turn twice" if not is_own and _repeats(sample) else ""


def _repeats(sample: Sample) -> bool:
    turns = [text for text in map(plain, sample.texts()) if len(text.split()) >= REPEATED_WORDS]
    return len(set(turns)) < len(turns)
