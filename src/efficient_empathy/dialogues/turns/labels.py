"""Labels of turns in a text: "Human:", "### Assistant:", "Speaker 1:", "A:", at the beginnings of lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from efficient_empathy.dialogues.rows import MalformedError, clean, show_value
from efficient_empathy.dialogues.sample import Role
from efficient_empathy.dialogues.turns.roles import LISTENERS, SPEAKERS, SYSTEM, RoleTable, names

_BEFORE = r"(?:[-*•][ \t]+|\d{1,4}[.)][ \t]+|[(\[]?\d{1,2}:\d{2}(?::\d{2})?[)\]]?[ \t]*-?[ \t]*)?"
"""A bullet, a number or a time of day."""
_LINE = re.compile(
    rf"^[ \t]*{_BEFORE}"
    r"(?P<mark>\#{1,6}[ \t]*|\*{1,2}|[<\[])?"
    r"(?P<name>[^\W\d_][\w.'-]{0,30}(?:[ ][\w.'-]{1,30}){0,2}?)"
    r"[ \t]*(?:\*{1,2}|[>\]])?[ \t]*(?P<colon>[:：](?!//))(?:\*{1,2})?",
    re.MULTILINE,
)
_HEADING = re.compile(r"^[ \t]*(?P<mark>\#{2,6})[ \t]*(?P<name>[A-Za-z]\w*)[ \t]*(?P<colon>:?)[ \t]*$", re.MULTILINE)
_DASH = re.compile(
    rf"^[ \t]*{_BEFORE}(?P<mark>)"
    r"(?P<name>user|human|assistant|bot|chatbot|speaker|listener)[ \t]+(?P<colon>[-–—])[ \t]",
    re.MULTILINE | re.IGNORECASE,
)
_INLINE_HEADING = re.compile(r"(?P<mark>\#{2,6})[ \t]*(?P<name>[A-Za-z]+)[ \t]*(?P<colon>:)")
_INLINE = re.compile(r"(?:(?<!\S)|(?<=</s>))(?P<mark>)(?P<name>[A-Za-z]+)(?P<colon>:)(?!\S)")
_NUMBERED = re.compile(r"(speaker|person|participant|voice|user|human|spk|p|s)[ _-]?([0-9]{1,2}|[a-e])", re.IGNORECASE)
_OWN = names("speaker listener")
_CHAT = _OWN | names("user human usr prompter seeker supporter assistant ai bot chatbot gpt chatgpt")
"""Names that are hardly ever a label of anything but a turn."""
_LETTERS = names("A B C H Q S U")
_SINGLE = names("user human usr prompter seeker")
"""Names that label a turn even where it is the text's only one."""
_HEADINGS: dict[str, Role] = {"instruction": "speaker", "input": "speaker", "response": "listener"}
_NO_NAMES = names(
    "input output example note notes tip step question answer premise hypothesis title author name date email text "
    "label context pros cons source target before after english french german spanish chinese problem solution prompt "
    "completion instruction response fact claim key value ingredients method subject from to re"
)
"""What stands before a colon in recipes, lists and tasks, and is nobody's name."""


class Label(NamedTuple):
    """One label: where it begins and ends, its name, whether it is a heading ("###"), and what it stands for."""

    start: int
    end: int
    name: str
    heading: bool
    meaning: str | None

    @property
    def folded(self) -> str:
        """The name without case."""
        return self.name.lower()

    @property
    def spoken(self) -> bool:
        """Whether it is a voice's."""
        return self.meaning in ("speaker", "listener")


def labels_of(text: str, roles: RoleTable) -> list[Label]:
    """All that may be labels, in order: at the beginnings of lines, and "### Human:" anywhere."""
    matches = {found.start("name"): found for found in _LINE.finditer(text)} if ":" in text or "：" in text else {}
    if " - " in text or "–" in text or "—" in text:
        matches |= {found.start("name"): found for found in _DASH.finditer(text)}
    if "##" in text:
        headings = (found for found in _HEADING.finditer(text) if found["colon"] or found["name"].lower() in _CHAT)
        inline = (found for found in _INLINE_HEADING.finditer(text) if found["name"].lower() in _CHAT)
        matches = {found.start("name"): found for found in inline} | matches
        matches |= {found.start("name"): found for found in headings}
    return [_label(matches[start], roles) for start in sorted(matches)]


def first_label(text: str, roles: RoleTable) -> Label | None:
    """The label that a text begins with, if it does."""
    found = _LINE.match(text) or (_HEADING.match(text) if text.startswith("##") else None)
    return _label(found, roles) if found else None


def inline_labels(text: str, roles: RoleTable, *, upper: bool) -> list[Label]:
    """Labels of the usual names wherever they stand alone, all in capitals if `upper`."""
    labels = [_label(found, roles) for found in _INLINE.finditer(text)]
    return [one for one in labels if one.folded in _CHAT and one.spoken and (one.name.isupper() or not upper)]


def _label(found: re.Match[str], roles: RoleTable) -> Label:
    name, heading = found["name"], (found["mark"] or "").startswith("#")
    folded = name.lower()
    meaning: str | None = _HEADINGS.get(folded) if heading else None
    if folded in roles.changes or folded in SPEAKERS or folded in LISTENERS or folded in SYSTEM:
        meaning = roles.meaning(folded)
    return Label(found.start(), found.end(), name, heading, meaning)


def is_certain(label: Label, roles: RoleTable) -> bool:
    """Whether a label is one of a turn even where it stands alone: our own, a heading's, or one that `--role` names."""
    return label.meaning is not None and (label.heading or label.folded in _OWN or label.folded in roles.changes)


def dialogue_labels(text: str, labels: Sequence[Label], roles: RoleTable) -> list[Label]:
    """Those of a text's labels that are its turns', none if the text is no dialogue of known names.

    Our own names, headings and those of `--role` are, wherever they stand. The usual ones ("User", "Human",
    "Assistant") are where the text begins with one, or where a preamble goes before a dialogue that awaits a reply.
    Words of many uses ("Agent", "Doctor") are where no other fields stand beside them, as in a form.
    """
    known = [one for one in labels if one.meaning is not None]
    certain = [one for one in known if is_certain(one, roles)]
    if any(one.spoken for one in certain):
        headings = any(one.heading for one in certain)
        return [one for one in certain if one.heading] if headings and len(certain) > 1 else certain
    if _voices(chat := [one for one in known if one.folded in _CHAT or not one.spoken]) > 1:
        known = chat
    known = [one for one in known if _style(one) == _style(known[0])]
    spoken = [one for one in known if one.spoken]
    if not spoken:
        return []
    begins = not text[: known[0].start].strip()
    if _voices(spoken) == 1:
        alone = begins and spoken[0].folded in _SINGLE and spoken[0].meaning == "speaker"
        return known if alone else []
    if not begins:
        awaits = spoken[-1].meaning == "speaker" or not text[spoken[-1].end :].strip()
        return known if awaits and spoken[0].meaning == "speaker" and _alternate(spoken) else []
    form = len(labels) > len(known) and len(spoken) == 2 and not all(one.folded in _CHAT for one in spoken)
    return [] if form else known


def neutral_labels(text: str, labels: Sequence[Label]) -> list[Label]:
    """The labels of two voices that are told apart by number or letter alone: "Speaker 1:", "A:" and "B:".

    Letters must begin the text and take turns at least three times, so that a list of choices is none. Malformed for
    three numbered voices.
    """
    if not labels or text[: labels[0].start].strip():
        return []
    numbered = [one for one in labels if _NUMBERED.fullmatch(one.name)]
    if len(numbered) > 1 and numbered[0] == labels[0]:
        voices = list(dict.fromkeys(one.folded for one in numbered))
        if len(voices) > 2:
            third = next(one.name for one in numbered if one.folded == voices[2])
            raise MalformedError(
                f'a third voice {show_value(third)} in one text: pass --role "{third}=speaker", =listener or =drop'
            )
        return numbered if len(voices) == 2 else []
    letters = [one for one in labels if one.name in _LETTERS]
    pair = [one.name for one in letters[:2]]
    taking_turns = all(one.name == pair[i % 2] for i, one in enumerate(letters))
    if (
        "".join(pair) in ("AB", "QA", "HA", "UA", "UB", "US")
        and len(letters) > 2
        and taking_turns
        and letters[0] == labels[0]
    ):
        return letters
    return []


def refuse_unknown_voices(text: str, labels: Sequence[Label]) -> None:
    """Malformed for a text that is a conversation of two unknown names, of three turns or more."""
    if len(labels) < 3 or text[: labels[0].start].strip() or len({one.folded for one in labels}) != 2:
        return
    first, second = labels[0].name, labels[1].name
    capitals = all(name[0].isupper() or not name.isascii() for name in (first, second))
    alternate = all(one.name == (first, second)[i % 2] for i, one in enumerate(labels))
    if alternate and capitals and not {first.lower(), second.lower()} & _NO_NAMES:
        raise MalformedError(
            f"a conversation of {show_value(first)} and {show_value(second)} in one text: say whose turns they are, "
            f'--role "{first}=speaker" --role "{second}=listener"'
        )


def texts_after(text: str, labels: Sequence[Label]) -> list[str]:
    """What follows each label, up to the next one."""
    ends = [label.start for label in labels[1:]] + [len(text)]
    return [clean(text[label.end : end]) for label, end in zip(labels, ends, strict=True)]


def take_turns(labels: Sequence[Label]) -> bool:
    """Whether two voices take turns, the speaker first."""
    return bool(labels) and labels[0].meaning == "speaker" and _alternate(labels)


def _alternate(labels: Sequence[Label]) -> bool:
    return all(a.meaning != b.meaning for a, b in pairwise(labels))


def _voices(labels: Sequence[Label]) -> int:
    return len({one.meaning for one in labels if one.spoken})


def _style(label: Label) -> str:
    return "upper" if label.name.isupper() and len(label.name) > 2 else "lower" if label.name.islower() else "title"
