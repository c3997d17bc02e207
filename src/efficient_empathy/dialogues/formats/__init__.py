"""Formats: how a row's values are a dialogue. One file each; `reader.py` is the contract, `registry.py` lists them.

Whoever adds a format finds here what it is made of: rows and their values, and turns that become samples.
"""

from efficient_empathy.dialogues.formats.reader import FORMATS, Reader, format_names, reader_named, recognised
from efficient_empathy.dialogues.rows import MalformedError, Row, each, holds_objects, label_of, objects_of, text_of
from efficient_empathy.dialogues.turns import conversation, pair, turns_of

__all__ = [
    "FORMATS",
    "MalformedError",
    "Reader",
    "Row",
    "conversation",
    "each",
    "format_names",
    "holds_objects",
    "label_of",
    "objects_of",
    "pair",
    "reader_named",
    "recognised",
    "text_of",
    "turns_of",
]
