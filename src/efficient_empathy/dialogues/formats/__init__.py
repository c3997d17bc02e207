"""Formats: how a row's values are a dialogue. One file each; `reader.py` is the contract, `registry.py` lists them."""

from efficient_empathy.dialogues.formats.reader import Reader
from efficient_empathy.dialogues.formats.registry import READERS, format_names, reader_named, recognised

__all__ = ["READERS", "Reader", "format_names", "reader_named", "recognised"]
