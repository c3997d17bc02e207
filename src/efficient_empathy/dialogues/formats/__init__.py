"""Formats: how a row's values are a dialogue. One file each; `reader.py` has the contract and the list of them.

Whoever adds a format finds here what it is made of: rows and their values, and turns that become samples.
"""

from efficient_empathy.dialogues.formats.reader import FORMATS, Reader, find_reader, format_names, recognise_format
from efficient_empathy.dialogues.rows import (
    LeftOutError,
    MalformedError,
    Row,
    each,
    holds_objects,
    label_of,
    objects_of,
    text_of,
)
from efficient_empathy.dialogues.turns.chat import chat_of, message_keys, turns_of
from efficient_empathy.dialogues.turns.conversation import conversation, pair

__all__ = [
    "FORMATS",
    "LeftOutError",
    "MalformedError",
    "Reader",
    "Row",
    "chat_of",
    "conversation",
    "each",
    "find_reader",
    "format_names",
    "holds_objects",
    "label_of",
    "message_keys",
    "objects_of",
    "pair",
    "recognise_format",
    "text_of",
    "turns_of",
]
