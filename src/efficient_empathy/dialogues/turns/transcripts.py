"""Conversations that stand in one text: labelled lines, chat templates, turns joined by a separator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from efficient_empathy.dialogues.rows import Intake, MalformedError, clean, show_value
from efficient_empathy.dialogues.sample import Role
from efficient_empathy.dialogues.turns.chat import unknown_role
from efficient_empathy.dialogues.turns.conversation import Turn
from efficient_empathy.dialogues.turns.labels import (
    Label,
    dialogue_labels,
    first_label,
    inline_labels,
    is_certain,
    labels_of,
    neutral_labels,
    refuse_unknown_voices,
    take_turns,
    texts_after,
)

_SIGN = re.compile("[:：–—]|##| - ")
"""Without one of these a text has no label."""
_NO_REPLY = re.compile(r"[:：<\[]|##|__")
"""Without one of these a text is a reply as it stands."""
_PLAIN = re.compile(r"[^:：–—<\[({#_|｜]*")
SEPARATORS = ("</s>", "__eou__", "__eot__", "<|endoftext|>")
_OWN_LINE = re.compile(r"^[ \t]*(speaker|listener)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_OPENING = r"(?:<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>|<\|startoftext\|>|\s)*"
_ROLE_MARK = (
    r"<\|im_start\|>[ \t]*(?P<a>\w+)|<\|start_header_id\|>\s*(?P<b>\w+)\s*<\|end_header_id\|>"
    r"|<start_of_turn>[ \t]*(?P<c>\w+)"
    r"|<[|｜](?P<d>user|assistant|system|prompter|human|bot|model|tool|observation)[|｜]>"
    r"|<(?P<e>human|bot|user|assistant)>:|(?P<f>\[/?INST\])"
)
_TAGGED = re.compile(
    r"\s*(?:<(?P<tag>user|human|assistant|bot|system|speaker|listener)>(?:(?!</?(?P=tag)>).)*</(?P=tag)>\s*){2,}",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"<(\w+)>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_ROLE_LINES = ("system", "user", "assistant", "model")
_BARE = re.compile(rf"^({'|'.join(_ROLE_LINES)})[ \t]*$", re.MULTILINE)
"""ChatML whose special tokens have been stripped."""
_TEMPLATE = re.compile(_ROLE_MARK, re.IGNORECASE)
_BEGINS = re.compile(rf"{_OPENING}(?:{_ROLE_MARK})", re.IGNORECASE)
_END_MARKS = (
    r"<\|im_end\|>|<\|eot_id\|>|<\|eom_id\|>|<end_of_turn>|<\|end\|>|<\|endoftext\|>|<\|end_of_text\|>|</s>|<s>|<eos>"
)
_NEXT_TURN = re.compile(
    r"<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<[|｜](?:user|prompter)[|｜]>|\[INST\]", re.IGNORECASE
)
_ENDS = re.compile(rf"(?:{_END_MARKS}|<[|｜]end▁of▁sentence[|｜]>)")
_END = re.compile(rf"(?:\s*(?:{_END_MARKS}|__eou__|__eot__))+\s*\Z")
_SYSTEM_BLOCK = re.compile(r"<<SYS>>.*?<</SYS>>", re.DOTALL)


def is_plain(text: str) -> bool:
    """Whether a text has no sign that any of the forms here begins with: then it is one turn. Most texts are."""
    return _PLAIN.fullmatch(text) is not None and " - " not in text and not text.startswith(_ROLE_LINES)


def parse_text(text: str, intake: Intake, *, reply_follows: bool = True) -> list[Turn] | None:
    """The turns of a text that holds more than one, or one with its label; None if it is one turn as it stands.

    A line without a label goes on with the turn before. What stands before the first label is a preamble, left out and
    counted; an empty "Assistant:" at the end is the prompt's, not a turn. Voices that have no role ("Speaker 1:",
    turns joined by "</s>") are told by counting back from the reply that follows, or from the first, the speaker's.
    Malformed for a conversation of voices that nothing is known of.
    """
    if text.startswith(("<", "[")) and _BEGINS.match(text):
        return _template_turns(text, intake)
    if text.startswith("<") and _TAGGED.fullmatch(text):
        return _named_turns([(tag[1], tag[1], tag[2]) for tag in _TAG.finditer(text)], intake)
    if bare := _bare_turns(text):
        return _named_turns(bare, intake)
    if _SIGN.search(text):
        turns = _labelled_turns(text, intake, reply_follows)
        if turns is not None:
            return turns
    return split_turns(text, reply_follows=reply_follows) if has_separator(text) else None


def has_separator(text: str) -> bool:
    """Whether a text joins its turns by a separator; beside "<s>", "</s>" is HTML."""
    if "</s>" in text:
        return ("<s>" not in text and "</s>" in _without_end(text)) or _other_separator(_without_end(text)) is not None
    return ("__" in text or "<|" in text) and _other_separator(_without_end(text)) is not None


def split_turns(text: str, *, reply_follows: bool = True) -> list[Turn]:
    """The turns of a text that joins them by a separator; empty ones at its ends are none."""
    body = _without_end(text.strip())
    mark = "__eot__" if "__eot__" in body else "</s>" if "</s>" in body else _other_separator(body) or "</s>"
    pieces = body.removeprefix(mark).split(mark)
    if "__eou__" in body:
        pieces = [_join_lines(piece) for piece in pieces]
    return alternating(pieces, reply_follows=reply_follows)


def _other_separator(body: str) -> str | None:
    return next((mark for mark in SEPARATORS[1:] if mark in body), None)


def _without_end(text: str) -> str:
    """A text without the marks that it ends with; they are looked for only where its last letter may be one's."""
    return _END.sub("", text) if text.rstrip().endswith((">", "_")) else text


def alternating(texts: Sequence[str], *, reply_follows: bool = True) -> list[Turn]:
    """Turns without roles: the last is the speaker's where a reply follows, else the first is."""
    last = len(texts) if reply_follows else 1
    return [("listener" if (last - i) % 2 == 0 else "speaker", clean(text)) for i, text in enumerate(texts)]


def _join_lines(piece: str) -> str:
    """One turn's text, the utterances in it on lines of their own."""
    return "\n".join(part.strip() for part in piece.split("__eou__") if part.strip())


def is_dialogue(text: str, intake: Intake) -> bool:
    """Whether a text, such as a context beside an instruction, is a dialogue from its first word on."""
    if not any(mark in text for mark in (":", "：", "##", "<", "[", "__eo")):
        return False
    label = first_label(text, intake.roles)
    if label is not None and is_certain(label, intake.roles):
        return True
    scratch = Intake(intake.settings)
    try:
        return parse_text(text, scratch) is not None and not scratch.repairs["preambles left out"]
    except MalformedError:
        return False


def reply_text(text: str, key: str, intake: Intake) -> str:
    """A reply without the label it may begin with and the mark it may end with.

    Malformed if it goes on with another's turn: then it is a conversation, not a reply.
    """
    if not _NO_REPLY.search(text):
        return text
    if end := _END.search(text) if text.endswith((">", "_")) else None:
        text = text[: end.start()]
        intake.repairs["end marks of replies left out"] += 1
    if "<" in text or "[" in text:
        text = _without_template(text, key)
    if ":" in text or "：" in text or "##" in text:
        label = first_label(text, intake.roles)
        if label is not None and label.meaning == "listener" and _may_begin_reply(label, intake):
            text = text[label.end :]
        if "\n" in text:
            _refuse_next_turn(text, key, intake)
    if any(mark in text for mark in SEPARATORS[1:]):
        raise _not_a_reply(key, next(mark for mark in SEPARATORS[1:] if mark in text))
    return clean(text)


def _template_turns(text: str, intake: Intake) -> list[Turn]:
    marks = list(_TEMPLATE.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    pieces = []
    for mark, end in zip(marks, ends, strict=True):
        name = next(group for group in mark.groups() if group)
        name = {"[INST]": "user", "[/INST]": "assistant"}.get(name.upper(), name)
        pieces.append((name, mark.group().strip(), _ENDS.sub("", text[mark.end() : end])))
    return _named_turns(pieces, intake)


def _bare_turns(text: str) -> list[tuple[str, str, str]]:
    """What stands below lines that are a role's name alone, if the text begins with one and two voices take turns."""
    marks = list(_BARE.finditer(text)) if text.startswith(_ROLE_LINES) else []
    voices = [mark[1] for mark in marks if mark[1] != "system"]
    if not marks or marks[0].start() or "user" not in voices or any(a == b for a, b in pairwise(voices)):
        return []
    if len(voices) < 2 and len(marks) < 2:
        return []
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [(mark[1], mark[1], text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]


def _named_turns(pieces: Sequence[tuple[str, str, str]], intake: Intake) -> list[Turn]:
    """The turns of pieces that each have a role's name, the mark that it was found by, and a text."""
    turns: list[Turn] = []
    for name, mark, body in pieces:
        meaning = intake.roles.meaning(name)
        if meaning is None:
            raise MalformedError(unknown_role(name, mark))
        if meaning not in ("speaker", "listener"):
            intake.repairs[meaning] += 1
            continue
        if "<<SYS>>" in body:
            body, count = _SYSTEM_BLOCK.subn("", body)
            intake.repairs["system turns left out"] += count
        turns.append(("speaker" if meaning == "speaker" else "listener", clean(body)))
    return _without_prompt(turns)


def _labelled_turns(text: str, intake: Intake, reply_follows: bool) -> list[Turn] | None:
    if "<" not in text and "##" not in text and not intake.roles.changes:
        own = list(_OWN_LINE.finditer(text))
        if own:
            return _own_turns(text, own, intake)
    labels = labels_of(text, intake.roles)
    spoken = dialogue_labels(text, labels, intake.roles)
    if sum(one.spoken for one in spoken) < 2:
        inline = inline_labels(text, intake.roles, upper=not (spoken and spoken[0].spoken))
        begins = bool(inline) and not text[: inline[0].start].strip()
        awaits = bool(inline) and (inline[-1].meaning == "speaker" or not text[inline[-1].end :].strip())
        if len(inline) > 1 and take_turns(inline) and (begins or awaits):
            spoken = inline
    if spoken:
        return _turns_after(text, spoken, intake)
    if voices := neutral_labels(text, labels):
        texts = [_ENDS.sub("", one) for one in texts_after(text, voices)]
        if reply_follows and not texts[-1]:
            speaker = next(one.folded for one in reversed(voices) if one.folded != voices[-1].folded)
        else:
            speaker = voices[-1].folded if reply_follows else voices[0].folded
        return _without_prompt(
            [
                ("speaker" if one.folded == speaker else "listener", words)
                for one, words in zip(voices, texts, strict=True)
            ]
        )
    refuse_unknown_voices(text, labels)
    return None


def _own_turns(text: str, labels: Sequence[re.Match[str]], intake: Intake) -> list[Turn]:
    """The turns after "Speaker:" and "Listener:", labels wherever they begin a line: the usual case."""
    if text[: labels[0].start()].strip():
        intake.repairs["preambles left out"] += 1
    ends = [label.start() for label in labels[1:]] + [len(text)]
    turns: list[Turn] = [
        ("speaker" if label[1][0] in "sS" else "listener", clean(text[label.end() : end]))
        for label, end in zip(labels, ends, strict=True)
    ]
    return _without_prompt(turns)


def _turns_after(text: str, labels: Sequence[Label], intake: Intake) -> list[Turn]:
    if text[: labels[0].start].strip():
        intake.repairs["preambles left out"] += 1
    turns: list[Turn] = []
    for label, words in zip(labels, texts_after(text, labels), strict=True):
        if label.spoken:
            if label.meaning == "listener":
                intake.roles.labels.add(label.folded)
            role: Role = "speaker" if label.meaning == "speaker" else "listener"
            turns.append((role, clean(_ENDS.sub("", words)) if "<" in words else words))
        elif label.meaning is not None:
            intake.repairs[label.meaning] += 1
    return _without_prompt(turns)


def _without_prompt(turns: list[Turn]) -> list[Turn]:
    return turns[:-1] if turns and turns[-1] == ("listener", "") else turns


def _may_begin_reply(label: Label, intake: Intake) -> bool:
    """Whether a listener's label is one before a reply: a usual one, or one that labelled turns of the dialogues."""
    usual = ("assistant", "ai", "bot", "chatbot", "gpt", "chatgpt", "supporter")
    return label.folded in usual or label.folded in intake.roles.labels or is_certain(label, intake.roles)


def _without_template(text: str, key: str) -> str:
    """A reply without the template's mark before it; malformed if another's follows."""
    first = _TEMPLATE.match(text)
    if first and not re.search(r"user|human|prompter|\[INST\]", first.group(), re.IGNORECASE):
        text = text[first.end() :]
    mark = _NEXT_TURN.search(text)
    if mark:
        raise _not_a_reply(key, mark.group())
    return text


def _refuse_next_turn(text: str, key: str, intake: Intake) -> None:
    """Malformed where a later line begins another turn: after a blank line, as a heading, or with a turn after it."""
    labels = [one for one in labels_of(text, intake.roles) if one.spoken and one.start > 0]
    for i, label in enumerate(labels):
        if label.meaning != "speaker" or not (
            label.heading or label.folded in ("user", "human", "usr", "prompter", "seeker", "speaker")
        ):
            continue
        blank = label.name[0].isupper() and re.search(r"\n[ \t]*\n[ \t]*\Z", text[: label.start]) is not None
        answered = any(other.meaning == "listener" and other.heading == label.heading for other in labels[i + 1 :])
        if label.heading or blank or answered or label.folded == "speaker":
            raise _not_a_reply(key, text[label.start : label.end].strip())


def _not_a_reply(key: str, mark: str) -> MalformedError:
    return MalformedError(f"{key!r} goes on with another turn, at {show_value(mark)}: a conversation, not one reply")
