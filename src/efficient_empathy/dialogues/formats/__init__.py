"""Formats: how a row's values are a dialogue. One file each; `reader.py` is the contract, `registry.py` lists them."""

from efficient_empathy.dialogues.formats.reader import Reader
from efficient_empathy.dialogues.formats.registry import FORMATS, format_names, reader_named, recognised

__all__ = ["FORMATS", "Reader", "format_names", "reader_named", "recognised"]
